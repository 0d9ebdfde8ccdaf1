import http2 from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { sizeDelimitedDecodeStream } from '@bufbuild/protobuf/wire';
import { AnswerBundleSchema, type BundledAnswer, CallBundleSchema } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import { GetProductRequestSchema, GetProductResponseSchema } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GET_PRODUCT, eventually } from '../test/callers.ts';
import { type Stub, startStub } from '../test/stub-server.ts';
import { BUNDLE_PATH, BUNDLE_TYPE, MAX_BUNDLED } from './bundle.ts';

const LIMIT_MS = 1_000;
const HANGS = 'HANGS';

let stub: Stub;
let session: http2.ClientHttp2Session;
let goOn: PromiseWithResolvers<void>;
let gone = 0;
beforeAll(async () => {
  goOn = Promise.withResolvers();
  stub = await startStub({
    async getProduct({ sku }, context) {
      if (sku === 'WAITS') await goOn.promise;
      if (sku === HANGS) await new Promise((resolve) => context.signal.addEventListener('abort', () => resolve((gone += 1))));
      return { product: { sku, name: context.requestHeader.get('x-custom') ?? '' } };
    },
  }, { limits: { unaryMs: LIMIT_MS } });
  session = http2.connect(stub.url);
});
afterAll(async () => {
  session.destroy();
  await stub.stop(0);
});

test('calls of one bundle are answered each by itself, whoever of them is refused', async () => {
  const answers = await all(post([call('A'), call('B', { headers: {} }), call(''), call('C', { headers: { ...signed(), 'x-custom': 'kept' } }), { ...call('D'), path: '/nobody/Knows' }, call('E', { headers: { ...signed(), 'connect-timeout-ms': 'soon' } })]));
  expect(answers.map(({ call: place, status }) => [place, status]).sort(([a = 0], [b = 0]) => a - b)).toEqual([[0, 200], [1, 401], [2, 400], [3, 200], [4, 404], [5, 404]]);
  expect(product(answers, 0)).toMatchObject({ sku: 'A', name: '' });
  expect(product(answers, 3)).toMatchObject({ sku: 'C', name: 'kept' });
  expect(text(answers, 1)).toContain('"code":"unauthenticated"');
  expect(text(answers, 2)).toContain('"code":"invalid_argument"');
});

test('a call that takes its time keeps no other waiting', async () => {
  const stream = post([call('WAITS'), call('A'), call('B')]);
  const bundles = sizeDelimitedDecodeStream(AnswerBundleSchema, stream)[Symbol.asyncIterator]();
  const first = ((await bundles.next()).value?.answers ?? []) as BundledAnswer[];
  expect(new Set(first.map(({ call: place }) => place))).toEqual(new Set([1, 2]));
  goOn.resolve();
  expect((await bundles.next()).value?.answers).toMatchObject([{ call: 0, status: 200 }]);
  expect((await bundles.next()).done).toBe(true);
});

test('each call has its own deadline', async () => {
  const answers = await all(post([call(HANGS, { headers: { ...signed(), 'connect-timeout-ms': '50' } }), call('A')]));
  expect(text(answers, 0)).toContain('"code":"deadline_exceeded"');
  expect(product(answers, 1)).toMatchObject({ sku: 'A' });
});

test('handlers hear that the sender of a bundle has gone', async () => {
  const before = gone;
  const stream = post([call(HANGS), call(HANGS), call('A')]);
  stream.once('data', () => stream.close(http2.constants.NGHTTP2_CANCEL));
  await eventually(() => gone >= before + 2, 'both signals abort');
  expect(gone).toBe(before + 2);
});

test.each([
  ['no message', Buffer.from([0xff, 0xff])],
  ['no calls', Buffer.alloc(0)],
  ['more calls than a bundle holds', bundle(Array.from({ length: MAX_BUNDLED + 1 }, () => call('A', { headers: {} })))],
])('%s is refused as a whole', async (_, body) => {
  const stream = session.request(line(), { endStream: body.length === 0 });
  if (body.length > 0) stream.end(body);
  const status = await new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])));
  stream.close();
  expect(status).toBe(400);
});

test.each([['no token', {}], ["somebody else's token", { authorization: 'Bearer a.b.c' }]])('with %s a bundle is refused before its body is read', async (_, headers) => {
  const stream = session.request({ ...line(), authorization: undefined, ...headers });
  const status = await new Promise((resolve) => stream.once('response', (answer) => resolve(answer[':status'])));
  stream.close(http2.constants.NGHTTP2_CANCEL);
  expect(status).toBe(401);
});

const line = () => ({ ':method': 'POST', ':path': BUNDLE_PATH, 'content-type': BUNDLE_TYPE, ...signed() });
type Asked = { path: string; headers: string[]; body: Uint8Array };

function signed(): Record<string, string> {
  return { ...stub.authorized().headers };
}

function call(sku: string, { headers = signed() }: { headers?: Record<string, string> } = {}): Asked {
  return { path: GET_PRODUCT, headers: Object.entries({ 'content-type': 'application/proto', ...headers }).flat(), body: toBinary(GetProductRequestSchema, create(GetProductRequestSchema, { sku })) };
}

function bundle(calls: Asked[]): Uint8Array {
  return toBinary(CallBundleSchema, create(CallBundleSchema, { calls }));
}

function post(calls: Asked[]): http2.ClientHttp2Stream {
  const stream = session.request(line());
  stream.on('error', () => {});
  return stream.end(bundle(calls));
}

async function all(stream: http2.ClientHttp2Stream): Promise<BundledAnswer[]> {
  const answers: BundledAnswer[] = [];
  for await (const { answers: some } of sizeDelimitedDecodeStream(AnswerBundleSchema, stream)) answers.push(...some);
  return answers;
}

function answerTo(answers: BundledAnswer[], place: number): BundledAnswer {
  const answer = answers.find((candidate) => candidate.call === place);
  if (answer === undefined) throw new Error(`call ${place} has no answer`);
  return answer;
}

function product(answers: BundledAnswer[], place: number) {
  return fromBinary(GetProductResponseSchema, answerTo(answers, place).body).product;
}

function text(answers: BundledAnswer[], place: number): string {
  return Buffer.from(answerTo(answers, place).body).toString();
}
