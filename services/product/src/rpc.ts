// ProductService on the wire: translates, and runs each change once per request id.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { errorInfo } from '@millrace/chassis/api/errors';
import { validate } from '@millrace/chassis/api/validation';
import type { Database } from '@millrace/chassis/database/db';
import { createOnce } from '@millrace/chassis/database/requests';
import { createReader, readAll } from '@millrace/chassis/flow/reader';
import type { PrismaClient } from '@millrace/gen/prisma/product/client.ts';
import { ImportProductsRequestSchema, ProductState, ProductService, type ImportProductsRequest, type Product as ProductMessage, type ProductSchema } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { archiveProduct } from './archive-product.ts';
import { createProduct } from './create-product.ts';
import { importProducts, type ImportRow } from './import-products.ts';
import { createListProducts } from './list-products.ts';
import { completeDetails, maskedChanges, ProductNotFoundError, type Details, type Product } from './product.ts';
import { loadProducts } from './store.ts';
import { updateProduct } from './update-product.ts';

export function productCalls(db: Database, prisma: PrismaClient): ServiceImpl<typeof ProductService> {
  const { method } = ProductService;
  const once = createOnce(db);
  const read = createReader('get products', (skus) => loadProducts(db, skus));
  const list = createListProducts(db, prisma);

  return {
    createProduct: (request, context) =>
      once(method.createProduct, request, context, async (tx) => {
        const { sku, details } = readProduct(request.product);
        return { product: productMessage(await createProduct(tx, sku, completeDetails(details), request)) };
      }),
    updateProduct: (request, context) =>
      once(method.updateProduct, request, context, async (tx) => {
        const { sku, details, revision } = readProduct(request.product);
        const changes = maskedChanges(details, request.updateMask?.paths ?? []);
        return { product: productMessage(await updateProduct(tx, sku, changes, revision)) };
      }),
    deleteProduct: (request, context) =>
      once(method.deleteProduct, request, context, async (tx) => ({ product: productMessage(await archiveProduct(tx, request.sku)) })),
    async getProduct({ sku }) {
      const product = await read(sku);
      if (product === undefined) throw new ProductNotFoundError(sku);
      return { product: productMessage(product) };
    },
    async batchGetProducts({ skus }) {
      return { products: (await readAll(read, skus)).map(productMessage) };
    },
    async listProducts(request) {
      const page = await list(request);
      return { products: page.products.map(productMessage), nextPageToken: page.nextPageToken };
    },
    importProducts: (requests) => importProducts(db, readRows(requests)),
  };
}

/** One bad row must not end an import, so each is checked here. */
async function* readRows(requests: AsyncIterable<ImportProductsRequest>): AsyncIterable<ImportRow> {
  for await (const request of requests) yield readRow(request);
}

function readRow(request: ImportProductsRequest): ImportRow {
  try {
    validate(ImportProductsRequestSchema, request);
    return { ...readProduct(request.product), opening: request };
  } catch (error) {
    const known = errorInfo(error);
    if (known === undefined) throw error;
    return { sku: request.product?.sku ?? '', refusal: (error as Error).message };
  }
}

/** What a caller may set; a price that is missing stays missing, for the rules to judge. */
function readProduct(product: ProductMessage | undefined): { sku: string; details: Partial<Details>; revision: number } {
  if (product === undefined) throw new Error('validation lets no request without a product through');
  const { sku, name, description, price, attributes, imageUrl, revision } = product;
  const plainPrice = price && { currencyCode: price.currencyCode, minorUnits: price.minorUnits };
  return { sku, details: { name, description, price: plainPrice, attributes, imageUrl }, revision };
}

export function productMessage({ state, createTime, updateTime, ...same }: Product): MessageInitShape<typeof ProductSchema> {
  return { ...same, state: ProductState[state], createTime: timestampFromDate(createTime), updateTime: timestampFromDate(updateTime) };
}
