// The providers' webhooks: raw bytes and headers as they came, because the service checks signatures over them.
import { errorInfo, toConnectError } from '@millrace/chassis/api/errors';
import { codeToHttpStatus } from '@connectrpc/connect/protocol-connect';
import type { Bodies } from './body.ts';
import { isBundled } from './bundler.ts';
import { type Ending, forward, passOn } from './forward.ts';
import { identify, inwardHeaders, requestLine } from './headers.ts';
import { type HeaderBag, type Req, type Res, abort, send } from './http.ts';
import type { Neighbour } from './neighbours.ts';

/** Providers give up after 10 to 20 s and come again. */
const WEBHOOK_MS = 15_000;
/** Nobody is known yet, so they all share the places of one. */
const ANYBODY = 'webhooks';

/** Answers the status, for the metrics. */
export async function serveWebhook(req: Req, res: Res, neighbour: Neighbour, bodies: Bodies): Promise<string> {
  const answer = (status: number, text: string, headers = {}): string => {
    send(req, res, status, { 'content-type': 'text/plain; charset=utf-8', ...headers }, `${text}\n`);
    return String(status);
  };
  const later = (text: string) => answer(503, text, { 'retry-after': '1' });
  if (req.method !== 'POST') return answer(405, 'webhooks are sent with POST', { allow: 'POST' });
  const giveBack = neighbour.calls.take(ANYBODY);
  if (typeof giveBack === 'string') return later('too many webhooks at once');
  let release: (() => void) | undefined;
  try {
    const read = await bodies.read(req);
    if (!read) return 'gone';
    release = read.release;
    const headers = inwardHeaders(req.headers);
    identify(headers);
    const ending = await carry(req, res, neighbour, headers, read.bytes);
    if (ending === undefined) return later(`${neighbour.name} is away`);
    if (ending.kind === 'answered') return String(ending.status);
    if (ending.kind === 'caller went away') return 'gone';
    if (!ending.begun) return later(`${neighbour.name} did not answer`);
    abort(req, res);
    return '503';
  } catch (error) {
    const { code, rawMessage } = toConnectError(error);
    return answer(errorInfo(error)?.reason === 'MESSAGE_TOO_LARGE' ? 413 : codeToHttpStatus(code), rawMessage);
  } finally {
    release?.();
    giveBack();
  }
}

/** Undefined when the service is away. */
async function carry(req: Req, res: Res, neighbour: Neighbour, headers: HeaderBag, body: Buffer): Promise<Ending | undefined> {
  const path = req.url ?? '';
  if (isBundled(path, headers, body)) {
    const carried = await neighbour.bundler.carry({ path, headers, body, deadlineMs: WEBHOOK_MS, res });
    if (carried.kind === 'answered') return passOn(req, res, carried.answer);
    if (carried.kind !== 'alone') return carried;
  }
  const upstream = neighbour.forCalls.request(requestLine('POST', path, headers), { endStream: body.length === 0 });
  return typeof upstream === 'number' ? undefined : forward({ req, res, upstream, body, deadlineMs: WEBHOOK_MS });
}
