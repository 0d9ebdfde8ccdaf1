// The providers' webhooks: raw bytes and headers as they came, because the service checks signatures over them.
import { forward } from './forward.ts';
import { identify, inwardHeaders, requestLine } from './headers.ts';
import { type Req, type Res, abort, send } from './http.ts';
import type { Neighbour } from './neighbours.ts';

/** Providers' events are a few KB; the services take no more than this either. */
export const MAX_WEBHOOK_BYTES = 1024 * 1024;
/** Providers give up after 10 to 20 s and come again. */
const WEBHOOK_MS = 15_000;
const BODY_MS = 10_000;
/** One place name for all of them: nobody is known yet. */
const ANYBODY = 'webhooks';

/** Answers the status, for the metrics. */
export async function serveWebhook(req: Req, res: Res, neighbour: Neighbour): Promise<string> {
  const answer = (status: number, text: string, headers = {}): string => {
    send(req, res, status, { 'content-type': 'text/plain; charset=utf-8', ...headers }, `${text}\n`);
    return String(status);
  };
  if (req.method !== 'POST') return answer(405, 'webhooks are sent with POST', { allow: 'POST' });
  if (Number(req.headers['content-length'] ?? 0) > MAX_WEBHOOK_BYTES) return answer(413, 'a webhook is at most 1 MiB');
  const giveBack = neighbour.calls.take(ANYBODY);
  if (typeof giveBack === 'string') return answer(503, 'too many webhooks at once', { 'retry-after': '1' });
  try {
    const headers = inwardHeaders(req.headers);
    identify(headers);
    const upstream = neighbour.request(requestLine('POST', req.url ?? '', headers));
    if (typeof upstream === 'number') return answer(503, `${neighbour.name} is away`, { 'retry-after': '1' });
    const ending = await forward(req, res, upstream, { deadlineMs: WEBHOOK_MS, bodyMs: BODY_MS, maxBytes: MAX_WEBHOOK_BYTES });
    if (ending.kind === 'answered') return String(ending.status);
    if (ending.kind === 'caller went away') return 'gone';
    if (ending.kind === 'too large') return answer(413, 'a webhook is at most 1 MiB');
    if (!ending.begun) return answer(503, `${neighbour.name} did not answer`, { 'retry-after': '1' });
    abort(req, res);
    return '503';
  } finally {
    giveBack();
  }
}
