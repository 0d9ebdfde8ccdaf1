import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Code, type ServiceImpl } from '@connectrpc/connect';
import { BatchGetProductsRequestSchema, BatchGetProductsResponseSchema, CreateProductRequestSchema, ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { expect, test } from 'vitest';
import { failure } from '../../test/callers.ts';
import { type Caller, callerOf } from '../api/auth.ts';
import { errorInfo } from '../api/errors.ts';
import { createLog } from '../telemetry/log.ts';
import { createDirectCall } from './direct-call.ts';

type Calls = ServiceImpl<typeof ProductService>;
const { method } = ProductService;
const options = { caller: { subject: 'order', role: 'service' } as const, log: createLog('product', 'silent') };
const batchGet = (implementation: Calls['batchGetProducts'], more = {}) => createDirectCall(method.batchGetProducts, implementation, { ...options, ...more });
const createProduct = (implementation: Calls['createProduct']) => createDirectCall(method.createProduct, implementation, options);

const DATE = new Date('2026-01-01T00:00:00Z');
const MUG = () => ({ sku: 'MUG', name: 'a mug', price: { currencyCode: 'EUR', minorUnits: 5n }, attributes: { colour: 'red' } });

test('what a callee does to a request, its caller does not see', async () => {
  const request = create(CreateProductRequestSchema, { product: { ...MUG(), createTime: timestampFromDate(DATE) } });
  const before = structuredClone(request);
  await createProduct(({ product }) => {
    if (product?.price === undefined || product.createTime === undefined) throw new Error('something was left out');
    product.name = 'stolen';
    product.price.minorUnits = 0n;
    product.createTime.seconds = 0n;
    product.attributes['colour'] = 'black';
    return { product };
  })(request);
  expect(request).toEqual(before);
  const skus = ['A', 'B'];
  await batchGet((asked) => {
    asked.skus.push('C');
    return {};
  })({ skus });
  expect(skus).toEqual(['A', 'B']);
});

test('what a caller does to a request after the call, its callee does not see', async () => {
  const kept: string[][] = [];
  const skus = ['A', 'B'];
  await batchGet((asked) => {
    kept.push(asked.skus);
    return {};
  })(create(BatchGetProductsRequestSchema, { skus }));
  skus.length = 0;
  expect(kept).toEqual([['A', 'B']]);
});

test('what a caller does to an answer, its callee and other callers do not see', async () => {
  const stored = create(BatchGetProductsResponseSchema, { products: [{ ...MUG(), updateTime: timestampFromDate(DATE) }] });
  const plain = { products: [MUG()] };
  for (const answer of [stored, plain]) {
    const before = structuredClone(answer);
    const call = batchGet(() => answer);
    const [first, second] = [await call({ skus: ['MUG'] }), await call({ skus: ['MUG'] })];
    const [product] = first.products;
    if (product?.price === undefined) throw new Error('something was left out');
    product.price.minorUnits = 0n;
    product.attributes['colour'] = 'black';
    if (product.updateTime) product.updateTime.seconds = 0n;
    first.products.pop();
    expect(answer).toEqual(before);
    expect(second.products[0]).toMatchObject(MUG());
  }
});

test('frozen messages pass: nothing on the way writes to what it was given', async () => {
  const request = deepFreeze(create(CreateProductRequestSchema, { product: MUG() }));
  const answer = await createProduct(({ product }) => deepFreeze({ product: product ?? {} }))(request);
  expect(answer.product).toMatchObject(MUG());
});

test('what is left out has its default, and the caller is who was named', async () => {
  let caller: Caller | undefined;
  const { products } = await batchGet((_, context) => {
    caller = callerOf(context);
    return { products: [{ sku: 'MUG' }] };
  })({ skus: ['MUG'] });
  expect(caller).toEqual(options.caller);
  expect(products[0]).toMatchObject({ $typeName: 'millrace.product.v1.Product', sku: 'MUG', name: '', attributes: {}, revision: 0 });
});

test('a callee that never answers costs its caller the deadline and no more, and hears of it', async () => {
  let heard: unknown;
  const hangs: Calls['batchGetProducts'] = (_, { signal }) => {
    signal.addEventListener('abort', () => (heard = signal.reason));
    return new Promise(() => {});
  };
  const error = await failure(batchGet(hangs, { timeoutMs: 20 })({ skus: ['MUG'] }));
  expect([error.code, errorInfo(error)?.reason]).toEqual([Code.DeadlineExceeded, 'DEADLINE_EXCEEDED']);
  expect(heard).toBeDefined();
});

test('a caller who goes away is told so', async () => {
  const gone = new AbortController();
  const call = batchGet(() => new Promise(() => {}))({ skus: ['MUG'] }, { signal: gone.signal });
  gone.abort();
  expect((await failure(call)).code).toBe(Code.Canceled);
});

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}
