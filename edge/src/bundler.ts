// Calls of one moment go to a service together, through the channel that the edge keeps to it. Calls of another shape are forwarded byte by byte.
import { createChannel } from '@millrace/chassis/clients/channel-client';
import { CHANNEL_PATH, CHANNEL_TYPE, MAX_BUNDLED_BYTES } from '@millrace/chassis/server/channel';
import { unaryProtocolOf } from '@millrace/chassis/server/unary-protocols';
import type { BundledAnswer } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import type { Broken } from './forward.ts';
import type { HeaderBag, Res } from './http.ts';
import type { Upstream } from './upstream.ts';

export type Call = { path: string; headers: HeaderBag; body: Buffer; deadlineMs: number; /** Closes when the caller goes. */ res: Res };
/** `alone`: the service has not seen it, and it is to be sent by itself. */
export type Carried = { kind: 'answered'; answer: BundledAnswer } | { kind: 'alone' } | { kind: 'caller went away' } | Broken;
export type Bundler = { carry(call: Call): Promise<Carried>; close(): void };

const ALONE: Carried = { kind: 'alone' };

export function createBundler(to: Upstream): Bundler {
  const channel = createChannel(async () => {
    const opened = to.request({ ':method': 'POST', ':path': CHANNEL_PATH, 'content-type': CHANNEL_TYPE });
    if (typeof opened === 'number') throw new Error(`${to.name} is away`);
    return opened;
  });
  return {
    carry: ({ path, headers, body, deadlineMs, res }) =>
      new Promise((resolve) => {
        const end = (how: Carried) => {
          clearTimeout(late);
          res.off('close', onGone);
          resolve(how);
        };
        const giveUp = channel.send({ path, headers: flat(headers), body }, (how) => {
          if (how.kind === 'answered') end(how);
          else end(how.kind === 'unseen' ? ALONE : { kind: 'broke', begun: false, whole: true, code: how.code });
        });
        const onGone = () => {
          giveUp();
          end({ kind: 'caller went away' });
        };
        const late = setTimeout(() => {
          giveUp();
          end({ kind: 'late', begun: false, whole: true });
        }, deadlineMs);
        res.once('close', onGone);
      }),
    close: () => channel.close(),
  };
}

/** Whether an RPC may travel with others: its headers as they go to the service. */
export function isBundledCall(method: string, url: string, headers: HeaderBag, body: Buffer): boolean {
  return method === 'POST' && unaryProtocolOf(headers) !== undefined && isBundled(url, headers, body);
}

/** Whether any POST may. */
export function isBundled(url: string, headers: HeaderBag, body: Buffer): boolean {
  return body.length <= MAX_BUNDLED_BYTES && !url.includes('?') && Object.values(headers).every((value) => typeof value === 'string');
}

function flat(headers: HeaderBag): string[] {
  const pairs: string[] = [];
  for (const name in headers) pairs.push(name, headers[name] as string);
  return pairs;
}
