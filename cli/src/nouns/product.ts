// millrace product …
import { create } from '@bufbuild/protobuf';
import { GetProductResponseSchema, ListProductsResponseSchema, ProductService, ProductStateSchema, type Product } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { type Call, type Noun, TEXT, TEXTS, UsageError, YES, expectArgs } from '../command.ts';
import type { Output } from '../output.ts';
import { PAGE_OPTIONS, PAGE_USAGE, gather } from '../pages.ts';
import { readMoney, readPairs, showEnum, showMoney, showTime } from '../values.ts';
import { importProducts } from './import-products.ts';

const FIELDS = { name: TEXT, price: TEXT, description: TEXT, image: TEXT, attribute: TEXTS } as const;
const FIELDS_USAGE = '[--description TEXT] [--image URL] [--attribute NAME=VALUE...]';

export const product: Noun = {
  about: 'the catalogue',
  verbs: {
    list: { usage: `[--query WORDS] [--archived] ${PAGE_USAGE}`, about: 'lists products by sku', options: { query: TEXT, archived: YES, ...PAGE_OPTIONS }, run: list },
    get: { usage: 'SKU', about: 'shows a product', run: get },
    create: {
      usage: `SKU --name NAME --price "19.99 EUR" ${FIELDS_USAGE} [--stock N] [--low-stock N]`,
      about: 'adds a product and opens its stock',
      options: { ...FIELDS, stock: TEXT, 'low-stock': TEXT },
      run: add,
    },
    update: {
      usage: `SKU [--name NAME] [--price "19.99 EUR"] ${FIELDS_USAGE} [--revision N]`,
      about: 'changes what is given; --revision refuses if somebody else was faster',
      options: { ...FIELDS, revision: TEXT },
      run: update,
    },
    archive: { usage: 'SKU', about: 'takes a product off sale', run: archive },
    import: { usage: 'FILE.csv', about: 'creates and updates products; columns sku, name, price, currency, … (- reads standard input)', run: importProducts },
  },
};

async function list(call: Call): Promise<void> {
  expectArgs(call);
  const filter = { query: call.flags.text('query'), includeArchived: call.flags.on('archived') };
  const { rows: products, nextPageToken } = await gather(call, (page) => call.client(ProductService).listProducts({ ...filter, ...page }), (page) => page.products);
  call.out.answer(ListProductsResponseSchema, create(ListProductsResponseSchema, { products, nextPageToken }), () =>
    call.out.table(['SKU', 'NAME', 'PRICE', 'STATE', 'REVISION'], products.map((one) => [one.sku, one.name, showMoney(one.price), showEnum(ProductStateSchema, one.state), one.revision])),
  );
}

async function get(call: Call): Promise<void> {
  const [sku] = expectArgs(call, 'SKU');
  showProduct(call.out, (await call.client(ProductService).getProduct({ sku })).product);
}

async function add(call: Call): Promise<void> {
  const [sku] = expectArgs(call, 'SKU');
  const { fields } = readFields(call);
  if (!fields.name || !fields.price) throw new UsageError('--name and --price are needed');
  const answer = await call.client(ProductService).createProduct({
    product: { sku, ...fields },
    initialStock: call.flags.whole('stock'),
    lowStockThreshold: call.flags.whole('low-stock'),
    requestId: call.requestId,
  });
  showProduct(call.out, answer.product);
}

async function update(call: Call): Promise<void> {
  const [sku] = expectArgs(call, 'SKU');
  const { fields, mask } = readFields(call);
  if (mask.length === 0) throw new UsageError('nothing to change: give --name, --price, --description, --image or --attribute');
  const answer = await call.client(ProductService).updateProduct({
    product: { sku, ...fields, revision: call.flags.whole('revision') },
    updateMask: { paths: mask },
    requestId: call.requestId,
  });
  showProduct(call.out, answer.product);
}

async function archive(call: Call): Promise<void> {
  const [sku] = expectArgs(call, 'SKU');
  showProduct(call.out, (await call.client(ProductService).deleteProduct({ sku, requestId: call.requestId })).product);
}

function readFields(call: Call) {
  const price = call.flags.text('price');
  const attributes = call.flags.all('attribute');
  const fields = {
    name: call.flags.text('name'),
    price: price === undefined ? undefined : readMoney(price, '--price'),
    description: call.flags.text('description'),
    imageUrl: call.flags.text('image'),
    attributes: attributes.length === 0 ? undefined : readPairs(attributes, '--attribute'),
  };
  const names = { name: 'name', price: 'price', description: 'description', imageUrl: 'image_url', attributes: 'attributes' };
  const mask = Object.entries(names).flatMap(([field, path]) => (fields[field as keyof typeof names] === undefined ? [] : [path]));
  return { fields, mask };
}

function showProduct(out: Output, one: Product | undefined): void {
  if (!one) return;
  out.answer(GetProductResponseSchema, create(GetProductResponseSchema, { product: one }), () =>
    out.facts({
      sku: one.sku,
      name: one.name,
      price: showMoney(one.price),
      state: showEnum(ProductStateSchema, one.state),
      description: one.description,
      image: one.imageUrl,
      ...Object.fromEntries(Object.entries(one.attributes).map(([name, value]) => [`attribute ${name}`, value])),
      revision: one.revision,
      changed: showTime(one.updateTime),
    }),
  );
}
