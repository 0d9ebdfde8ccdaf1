// Sends the calls of one moment to a service in one request. A call that comes alone, or is of another shape, is forwarded byte by byte.
import { constants } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { sizeDelimitedDecodeStream } from '@bufbuild/protobuf/wire';
import { BUNDLE_PATH, BUNDLE_TYPE, MAX_BUNDLED, MAX_BUNDLED_BYTES } from '@millrace/chassis/bundle';
import { letGo } from '@millrace/chassis/let-go';
import { isUsualCall } from '@millrace/chassis/unary';
import { AnswerBundleSchema, type BundledAnswer, BundledCallSchema, CallBundleSchema } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import type { Broken } from './forward.ts';
import type { HeaderBag } from './http.ts';
import type { Upstream } from './upstream.ts';

export type Call = { path: string; headers: HeaderBag; body: Buffer; deadlineMs: number };
/** `alone`: the service has not seen it, and it is to be sent by itself. */
export type Carried = { kind: 'answered'; answer: BundledAnswer } | { kind: 'alone' } | Broken;
export type Bundler = (call: Call) => Promise<Carried>;

type Waiting = { call: Call; settle: (how: Carried) => void };

const ALONE: Carried = { kind: 'alone' };
/** The service's answer for a path that it doesn't serve in bundles. */
const NOT_SERVED = 404;

export function createBundler(to: Upstream): Bundler {
  let gathered: Waiting[] = [];
  const leave = () => {
    const all = gathered;
    gathered = [];
    for (let i = 0; i < all.length; i += MAX_BUNDLED) send(to, all.slice(i, i + MAX_BUNDLED));
  };
  return (call) =>
    new Promise((resolve) => {
      const late = setTimeout(() => resolve({ kind: 'late', begun: false, whole: true }), call.deadlineMs);
      const settle = (how: Carried) => {
        clearTimeout(late);
        resolve(how);
      };
      // The end of the event-loop turn, so that all calls of this turn travel together.
      if (gathered.push({ call, settle }) === 1) setImmediate(leave);
    });
}

/** Whether a call may travel with others: its headers as they go to the service. */
export function isBundled(method: string, url: string, headers: HeaderBag, body: Buffer): boolean {
  return method === 'POST' && body.length <= MAX_BUNDLED_BYTES && isUsualCall(headers) && !url.includes('?') && Object.values(headers).every((value) => typeof value === 'string');
}

function send(to: Upstream, waiting: Waiting[]): void {
  const alone = () => waiting.forEach(({ settle }) => settle(ALONE));
  if (waiting.length === 1) return alone();
  // The token of any of them lets the bundle in; each call is let in by its own.
  const authorization = waiting[0]?.call.headers['authorization'] as string | undefined;
  const upstream = to.request({ ':method': 'POST', ':path': BUNDLE_PATH, 'content-type': BUNDLE_TYPE, authorization });
  if (typeof upstream === 'number') return alone();
  upstream.end(toBinary(CallBundleSchema, create(CallBundleSchema, { calls: waiting.map(({ call }) => bundled(call)) })));
  let reading: Promise<void> | undefined;
  // Anything but 200 was said before a call was looked at.
  upstream.once('response', ({ ':status': status }) => (status === 200 ? (reading = read()) : alone()));
  const read = async () => {
    try {
      for await (const { answers } of sizeDelimitedDecodeStream(AnswerBundleSchema, upstream)) {
        for (const answer of answers) waiting[answer.call]?.settle(answer.status === NOT_SERVED ? ALONE : { kind: 'answered', answer });
      }
    } catch {
      // Said by the end of the stream.
    }
  };
  upstream.on('error', () => {}); // what it was is in the code
  upstream.once('close', async () => {
    // The last answers may have come with the end.
    await reading;
    const unseen = reading === undefined && (upstream.rstCode === constants.NGHTTP2_REFUSED_STREAM || upstream.id === undefined);
    if (unseen) alone();
    else waiting.forEach(({ settle }) => settle({ kind: 'broke', begun: false, whole: true, code: upstream.rstCode }));
    letGo(upstream);
  });
}

function bundled({ path, headers, body }: Call) {
  const flat: string[] = [];
  for (const name in headers) flat.push(name, headers[name] as string);
  return create(BundledCallSchema, { path, headers: flat, body });
}
