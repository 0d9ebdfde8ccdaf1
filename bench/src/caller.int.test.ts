// The load's client against a real server: what it counts as answered was answered.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { refuse } from '@millrace/chassis/api/errors';
import { BatchGetProductsRequestSchema, BatchGetProductsResponseSchema, GetProductRequestSchema, GetProductResponseSchema } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { expect, test } from 'vitest';
import { startStub } from '../../chassis/test/stub-server.ts';
import { createCaller } from './caller.ts';

const PATH = '/millrace.product.v1.ProductService/GetProduct';
const request = (sku: string) => toBinary(GetProductRequestSchema, create(GetProductRequestSchema, { sku }));

test('more calls at once than the server allows streams and window are each answered with their own', async () => {
  await using stub = await startStub({ batchGetProducts: ({ skus }) => ({ products: [{ sku: skus[0] ?? '' }] }) }, { limits: { maxConcurrentStreams: 10 } });
  const caller = createCaller(stub.url, stub.token);
  const batches = Array.from({ length: 400 }, (_, i) => Array.from({ length: 30 }, (__, j) => `${i}-${j}`.padEnd(60, '-')));
  const answers = await Promise.all(batches.map((skus) => caller.call('/millrace.product.v1.ProductService/BatchGetProducts', toBinary(BatchGetProductsRequestSchema, create(BatchGetProductsRequestSchema, { skus })))));
  expect(answers.map((answer) => fromBinary(BatchGetProductsResponseSchema, answer).products[0]?.sku)).toEqual(batches.map(([sku]) => sku));
  caller.close();
});

test('gRPC and JSON are spoken, too', async () => {
  await using stub = await startStub({ getProduct: ({ sku }) => { if (sku === 'NONE') throw refuse('NOT_FOUND', 'there is none'); return { product: { sku } }; } });
  const [grpc, json] = [createCaller(stub.url, stub.token, 'gRPC'), createCaller(stub.url, stub.token, 'JSON')];
  expect(fromBinary(GetProductResponseSchema, await grpc.call(PATH, request('mug'))).product?.sku).toBe('mug');
  expect((await json.call(PATH, Buffer.from('{"sku":"mug"}'))).toString()).toBe('{"product":{"sku":"mug"}}');
  await expect(grpc.call(PATH, request('NONE'))).rejects.toMatchObject({ code: Code.Unknown });
  await expect(json.call(PATH, Buffer.from('{"sku":"NONE"}'))).rejects.toMatchObject({ code: Code.NotFound });
  [grpc, json].forEach(({ close }) => close());
});

test('a large answer arrives whole', async () => {
  const description = 'd'.repeat(300_000);
  await using stub = await startStub({ getProduct: ({ sku }) => ({ product: { sku, description } }) });
  const caller = createCaller(stub.url, stub.token);
  expect(fromBinary(GetProductResponseSchema, await caller.call(PATH, request('mug'))).product?.description).toBe(description);
  caller.close();
});

test('a refusal comes back with its code', async () => {
  await using stub = await startStub({ getProduct: () => { throw refuse('NOT_FOUND', 'there is none'); } });
  const [caller, stranger] = [createCaller(stub.url, stub.token), createCaller(stub.url, 'nobody')];
  await expect(caller.call(PATH, request('mug'))).rejects.toMatchObject({ code: Code.NotFound, rawMessage: 'there is none' });
  await expect(caller.call(PATH, request('no such sku!'))).rejects.toMatchObject({ code: Code.InvalidArgument });
  await expect(stranger.call(PATH, request('mug'))).rejects.toMatchObject({ code: Code.Unauthenticated });
  [caller, stranger].forEach(({ close }) => close());
});

test('a server that ends or is not there fails its calls, and later ones at once', async () => {
  let asked = (): void => {};
  const arrived = new Promise<void>((resolve) => (asked = resolve));
  const stub = await startStub({ getProduct: () => { asked(); return new Promise(() => {}); } });
  const caller = createCaller(stub.url, stub.token);
  const call = caller.call(PATH, request('mug'));
  await arrived;
  await Promise.all([expect(call).rejects.toMatchObject({ code: Code.Unavailable }), stub.stop(0)]);
  const late = createCaller(stub.url, stub.token);
  await expect(late.call(PATH, request('mug'))).rejects.toMatchObject({ code: Code.Unavailable });
  [caller, late].forEach(({ close }) => close());
});
