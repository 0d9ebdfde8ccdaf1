import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { sizeDelimitedEncode } from '@bufbuild/protobuf/wire';
import { AnswerBundleSchema, type BundledAnswer, CallBundleSchema } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import { GetProductRequestSchema, GetProductResponseSchema } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { GET_PRODUCT, eventually } from '../../test/callers.ts';
import { type Stub, startStub } from '../../test/stub-server.ts';
import { type Carried, type Channel, type ChannelCall, createChannel } from '../clients/channel-client.ts';
import { CHANNEL_PATH, CHANNEL_TYPE, Cutter, MAX_BUNDLED, MAX_BUNDLED_BYTES, MAX_UNDER_WAY, SAID, bundlesOf } from './channel.ts';

const LIMIT_MS = 2_000;
const WAITS = 'WAITS';
const HANGS = 'HANGS';

let stub: Stub;
let session: http2.ClientHttp2Session;
let goOn: PromiseWithResolvers<void>;
let entered: string[] = [];
let gone = 0;
beforeEach(() => {
  goOn = Promise.withResolvers();
  entered = [];
});
beforeAll(async () => {
  stub = await serve();
  session = http2.connect(stub.url);
});
afterAll(async () => {
  session.destroy();
  await stub.stop(0);
});

describe('the answering end', () => {
  test('answers each call by itself, whoever of them is refused', async () => {
    const line = open();
    line.ask([call(0, 'A'), call(1, 'B', {}), call(2, ''), call(3, 'C', { ...signed(), 'x-custom': 'kept' }), { ...call(4, 'D'), path: '/nobody/Knows' }, call(5, 'E', { ...signed(), 'connect-timeout-ms': 'soon' })]);
    await eventually(() => line.answers.length === 6, 'all answered');
    expect(Object.fromEntries(line.answers.map(({ call: number, status }) => [number, status]))).toEqual({ 0: 200, 1: 401, 2: 400, 3: 200, 4: SAID.UNSEEN, 5: SAID.UNSEEN });
    expect(product(line.answer(0))).toMatchObject({ sku: 'A', name: '' });
    expect(product(line.answer(3))).toMatchObject({ sku: 'C', name: 'kept' });
    expect(text(line.answer(1))).toContain('"code":"unauthenticated"');
    expect(text(line.answer(2))).toContain('"code":"invalid_argument"');
  });

  test('keeps no call waiting for one that takes its time, and takes more meanwhile', async () => {
    const line = open();
    line.ask([call(0, WAITS), call(1, 'A')]);
    await eventually(() => line.answers.length === 1, 'the quick one');
    line.ask([call(1, 'B')]);
    await eventually(() => line.answers.length === 2, 'the one after it');
    expect(line.answers.map((answer) => [answer.call, product(answer)?.sku])).toEqual([[1, 'A'], [1, 'B']]);
    goOn.resolve();
    await eventually(() => line.answers.length === 3, 'the slow one');
    expect(product(line.answers[2])?.sku).toBe(WAITS);
  });

  test('gives each call its own deadline', async () => {
    const line = open();
    line.ask([call(0, HANGS, { ...signed(), 'connect-timeout-ms': '50' }), call(1, 'A')]);
    await eventually(() => line.answers.length === 2, 'both answered');
    expect(text(line.answer(0))).toContain('"code":"deadline_exceeded"');
  });

  test('tells a handler that nobody waits for it any more, and frees its number', async () => {
    const before = gone;
    const line = open();
    line.ask([call(0, HANGS)]);
    await eventually(() => entered.length === 1, 'it has begun');
    line.ask([], [0]);
    await eventually(() => gone === before + 1, 'its signal aborts');
    line.ask([call(0, 'A')], [7]); // nobody knows 7
    await eventually(() => line.answers.length === 2, 'both answered');
    expect(line.answers.map(({ status }) => status)).toEqual([SAID.GONE, 200]);
  });

  test('tells all handlers when the caller has gone', async () => {
    const before = gone;
    const line = open();
    line.ask([call(0, HANGS), call(1, HANGS)]);
    await eventually(() => entered.length === 2, 'both have begun');
    line.stream.close(http2.constants.NGHTTP2_CANCEL);
    await eventually(() => gone >= before + 2, 'both signals abort');
    expect(gone).toBe(before + 2);
  });

  test('ends when the caller has no more calls, after the last answer', async () => {
    const line = open();
    line.ask([call(0, WAITS)]);
    line.stream.end();
    await eventually(() => entered.length === 1, 'it has begun');
    expect(line.last).toBe(false);
    goOn.resolve();
    await eventually(() => line.stream.closed, 'the end');
    expect([line.answers.map(({ status }) => status), line.last, line.stream.rstCode]).toEqual([[200], true, http2.constants.NGHTTP2_NO_ERROR]);
  });

  test.each([
    ['no message', Buffer.from([2, 0xff, 0xff])],
    ['a length that is none', Buffer.alloc(11, 0xff)],
    ['more bytes than a bundle has', Buffer.from([0xff, 0xff, 0xff, 0x7f])],
    ['more calls than a bundle has', bundle(Array.from({ length: MAX_BUNDLED + 1 }, (_, i) => call(i, 'A', {})))],
    ['two calls of one number', bundle([call(3, HANGS, {}), call(3, HANGS, {})])],
    ['a number beyond all places', bundle([call(MAX_UNDER_WAY, 'A', {})])],
  ])('breaks off at %s, and goes on serving others', async (_, bytes) => {
    const line = open();
    line.stream.write(bytes);
    await eventually(() => line.stream.closed, 'the end');
    expect(line.stream.rstCode).toBe(http2.constants.NGHTTP2_PROTOCOL_ERROR);
    const next = open();
    next.ask([call(0, 'A')]);
    await eventually(() => next.answers.length === 1, 'an answer');
  });

  test('serves plain routes too', async () => {
    const line = open();
    line.ask([{ ...call(0, ''), path: '/hook', body: Buffer.from('posted'), headers: ['x-custom', 'kept'] }, { ...call(1, ''), path: '/broken' }]);
    await eventually(() => line.answers.length === 2, 'both answered');
    expect([line.answer(0).status, text(line.answer(0))]).toEqual([202, 'POST /hook kept posted']);
    expect(line.answer(0).headers).toEqual(['content-type', 'text/plain; charset=utf-8', 'x-content-type-options', 'nosniff']);
    expect([line.answer(1).status, text(line.answer(1))]).toEqual([500, '{"code":"internal","message":"internal error"}']);
  });
});

describe('both ends', () => {
  let opened: number;
  let channel: Channel;
  beforeEach(() => {
    opened = 0;
    channel = createChannel(async () => {
      opened += 1;
      return session.request(LINE);
    });
  });
  afterEach(() => channel.close());

  it('carry a crowd on one stream', async () => {
    const all = await Promise.all(Array.from({ length: 1_000 }, (_, i) => send(`SKU-${i}`).outcome));
    expect(all.map((how) => how.kind === 'answered' && product(how.answer)?.sku)).toEqual(Array.from({ length: 1_000 }, (_, i) => `SKU-${i}`));
    expect(opened).toBe(1);
  });

  it('forget a call that is given up, and take no answer for another one', async () => {
    const before = gone;
    const hanging = send(HANGS);
    await eventually(() => entered.length === 1, 'it has begun');
    hanging.giveUp();
    await eventually(() => gone === before + 1, 'the handler hears of it');
    const next = await Promise.all(['A', 'B', 'C'].map((sku) => send(sku).outcome));
    expect(next.map((how) => how.kind === 'answered' && product(how.answer)?.sku)).toEqual(['A', 'B', 'C']);
    expect(hanging.heard).toEqual([]);
  });

  it('do not send a call that is given up at once', async () => {
    send(HANGS).giveUp();
    await send('A').outcome;
    expect(entered).toEqual(['A']);
  });

  it('open another stream when one has broken, whose calls have no answer', async () => {
    const hanging = send(HANGS);
    await eventually(() => entered.length === 1, 'it has begun');
    session.destroy();
    session = http2.connect(stub.url);
    expect((await hanging.outcome).kind).toBe('broke');
    expect((await send('A').outcome).kind).toBe('answered');
    expect(opened).toBe(2);
  });

  it('change streams now and then, and lose no call by it', async () => {
    channel = createChannel(async () => {
      opened += 1;
      return session.request(LINE);
    }, { maxAgeMs: 0 });
    const slow = send(WAITS);
    await eventually(() => entered.length === 1, 'it has begun');
    for (const sku of ['A', 'B', 'C']) expect(await send(sku).outcome).toMatchObject({ kind: 'answered' });
    expect(opened).toBe(4);
    const [before, given] = [gone, send(HANGS)];
    await eventually(() => entered.at(-1) === HANGS, 'another one has begun');
    await send('D').outcome;
    given.giveUp();
    await eventually(() => gone === before + 1, 'it is given up on a stream that takes no more calls');
    goOn.resolve();
    expect(await slow.outcome).toMatchObject({ kind: 'answered', answer: { status: 200 } });
  });

  it('lose nothing when the answering end stops: what has begun is answered, the rest was not looked at', async () => {
    const stopping = await serve();
    const own = http2.connect(stopping.url);
    channel = createChannel(async () => own.request(LINE));
    const slow = send(WAITS);
    await eventually(() => entered.length === 1, 'it has begun');
    const stopped = stopping.stop();
    const late: Carried[] = [];
    for (let i = 0; i < 100 && late.at(-1)?.kind !== 'unseen'; i += 1) late.push(await send('LATE').outcome);
    expect(late.at(-1)?.kind).toBe('unseen');
    expect(late.filter(({ kind }) => kind === 'answered')).toHaveLength(entered.length - 1);
    goOn.resolve();
    expect(await slow.outcome).toMatchObject({ kind: 'answered', answer: { status: 200 } });
    await stopped;
    own.destroy();
  });

  it.each<[string, () => Promise<http2.ClientHttp2Stream>, unknown]>([
    ['does not know channels', async () => session.request({ ...LINE, ':path': '/nothing' }), undefined],
    ['can not be reached', async () => { throw new Error('nobody there'); }, new Error('nobody there')],
  ])('an end that %s has not seen the call', async (_, opens, cause) => {
    channel = createChannel(opens);
    expect(await send('A').outcome).toEqual({ kind: 'unseen', ...(cause !== undefined && { cause }) });
    expect(await send('A').outcome).toMatchObject({ kind: 'unseen' });
  });

  it('can not know what became of a call when somebody in between says that something failed', async () => {
    const between = http2.createServer((_, response) => response.writeHead(502).end());
    await new Promise<void>((resolve) => void between.listen(0, '127.0.0.1', resolve));
    const own = http2.connect(`http://127.0.0.1:${(between.address() as AddressInfo).port}`);
    channel = createChannel(async () => own.request(LINE));
    expect((await send('A').outcome).kind).toBe('broke');
    own.destroy();
    between.close();
  });

  it('leave more calls than there are places to others', async () => {
    const waiting = Array.from({ length: MAX_UNDER_WAY }, () => send(WAITS, {}));
    const kinds = await Promise.all([...waiting, send('A')].map(async ({ outcome }) => (await outcome).kind));
    expect(kinds.filter((kind) => kind === 'unseen')).toHaveLength(1);
  });

  function send(sku: string, headers = signed()) {
    const { promise, resolve } = Promise.withResolvers<Carried>();
    const heard: Carried[] = [];
    const giveUp = channel.send(call(0, sku, headers), (how) => {
      heard.push(how);
      resolve(how);
    });
    return { outcome: promise, heard, giveUp };
  }
});

describe('bytes', () => {
  it.each([1, 2, 7, 1_000, 100_000])('are cut into the same messages when they come in pieces of %i', (size) => {
    const messages = [new Uint8Array(0), Buffer.from('a'), Buffer.alloc(300, 1), Buffer.alloc(70_000, 2), Buffer.from('z')];
    const bytes = Buffer.concat(messages.map((message) => sizeDelimitedEncode(AnswerBundleSchema, create(AnswerBundleSchema, { answers: [{ body: message }] }))));
    const got: Uint8Array[] = [];
    const cutter = new Cutter(100_000, (message) => got.push(message.slice()));
    for (let i = 0; i < bytes.length; i += size) cutter.push(bytes.subarray(i, i + size));
    expect(got.map((message) => Buffer.from(fromBinary(AnswerBundleSchema, message).answers[0]?.body ?? []))).toEqual(messages.map((message) => Buffer.from(message)));
    expect(cutter.isInside).toBe(false);
  });

  it('make bundles of a bounded size', () => {
    const things = [MAX_BUNDLED_BYTES, ...Array<number>(600).fill(10), ...Array<number>(9).fill(MAX_BUNDLED_BYTES)];
    const bundles = [...bundlesOf(things, (thing) => thing)];
    expect(bundles.flat()).toEqual(things);
    expect(bundles.map(({ length }) => length)).toEqual([256, 256, 93, 4, 1]);
  });
});

const LINE = { ':method': 'POST', ':path': CHANNEL_PATH, 'content-type': CHANNEL_TYPE };
type Asked = ChannelCall & { call: number };

async function serve(): Promise<Stub> {
  return startStub({
    async getProduct({ sku }, context) {
      entered.push(sku);
      if (sku === WAITS) await goOn.promise;
      if (sku === HANGS) await new Promise((resolve) => context.signal.addEventListener('abort', () => resolve((gone += 1))));
      return { product: { sku, name: context.requestHeader.get('x-custom') ?? '' } };
    },
  }, {
    limits: { unaryMs: LIMIT_MS },
    http: {
      '/hook': async ({ method, url, headers, body }) => ({ status: 202, body: `${method} ${url} ${headers.get('x-custom')} ${Buffer.from(body).toString()}` }),
      '/broken': async () => { throw new Error('secret plan'); },
    },
    ...(stub && { verify: async () => ({ subject: 'ann', role: 'admin' }) }),
  });
}

function signed(): Record<string, string> {
  return { ...stub.authorized().headers };
}

function call(number: number, sku: string, headers = signed()): Asked {
  return { call: number, path: GET_PRODUCT, headers: Object.entries({ 'content-type': 'application/proto', ...headers }).flat(), body: toBinary(GetProductRequestSchema, create(GetProductRequestSchema, { sku })) };
}

function bundle(calls: Asked[], gone: number[] = []): Uint8Array {
  return sizeDelimitedEncode(CallBundleSchema, create(CallBundleSchema, { calls, gone }));
}

function open() {
  const stream = session.request(LINE);
  const line = {
    stream,
    answers: [] as BundledAnswer[],
    last: false,
    ask: (calls: Asked[], given: number[] = []) => void stream.write(bundle(calls, given)),
    answer(number: number): BundledAnswer {
      const found = line.answers.find((candidate) => candidate.call === number);
      if (found === undefined) throw new Error(`call ${number} has no answer`);
      return found;
    },
  };
  const cutter = new Cutter(1_000_000, (message) => {
    const { answers, last } = fromBinary(AnswerBundleSchema, message);
    line.answers.push(...answers);
    line.last ||= last;
  });
  stream.on('error', () => {});
  stream.on('data', (chunk: Buffer) => cutter.push(chunk));
  return line;
}

function product(answer: BundledAnswer | undefined) {
  return answer && fromBinary(GetProductResponseSchema, answer.body).product;
}

function text(answer: BundledAnswer): string {
  return Buffer.from(answer.body).toString();
}
