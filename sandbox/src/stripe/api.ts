// Stripe's HTTP API: sign-in, routing, idempotency, faults, and one journal line per change.
import { timingSafeEqual } from 'node:crypto';
import type { Hit } from '../faults.ts';
import type { Incoming, Reply } from '../http.ts';
import { pause } from '../pause.ts';
import type { Sandbox } from '../sandbox.ts';
import { randomText } from '../store/ids.ts';
import type { Line, Outcome } from '../store/records.ts';
import { type Call, hooksOf, type Result } from './call.ts';
import { badRequest, type ErrorFields, faultFields, StripeRefusal } from './errors.ts';
import { expand } from './expand.ts';
import { listOf, type Params, parseForm } from './form.ts';
import { type Attempted, identify, inUse, isRemembered, recall } from './idempotency.ts';
import { API_VERSION, type RenderContext, renderIntent, renderSubject } from './render.ts';
import { findRoute, type Route } from './routes.ts';

export function createStripeApi(sandbox: Sandbox) {
  const running = new Set<string>(); // idempotency keys of requests under way

  return async function handle(incoming: Incoming): Promise<Reply> {
    const requestId = `req_${randomText(14)}`;
    try {
      return await answer(sandbox, running, incoming, requestId);
    } catch (error) {
      if (error instanceof StripeRefusal) return reply(error.status, { error: error.fields }, incoming, requestId);
      sandbox.log.error('stripe request failed', { path: incoming.path.slice(0, 200), error: String(error) });
      return reply(500, { error: faultFields(500) }, incoming, requestId);
    }
  };
}

async function answer(sandbox: Sandbox, running: Set<string>, incoming: Incoming, requestId: string): Promise<Reply> {
  checkKey(incoming.headers['authorization'], sandbox.config.stripe.secretKey);
  const found = findRoute(incoming.method, incoming.path);
  if (!found) {
    throw new StripeRefusal(404, { type: 'invalid_request_error', message: `Unrecognized request URL (${incoming.method}: ${incoming.path.slice(0, 200)}). Please see https://docs.stripe.com/api or we can help at https://support.stripe.com/.` });
  }
  const params = parseForm(contentOf(incoming));
  const key = incoming.method === 'POST' ? incoming.headers['idempotency-key'] : undefined;
  const attempted = key ? identify(key, incoming.path, incoming.body) : undefined;
  if (attempted && running.has(attempted.key)) throw inUse(attempted.key);

  const confirms = found.route.name === 'payment_intents.create' && params['confirm'] === 'true';
  const operations = confirms ? [found.route.name, 'payment_intents.confirm'] : [found.route.name];
  const declinable = confirms || found.route.name === 'payment_intents.confirm' || found.route.name === 'refunds.create';
  const hit = sandbox.faults.take('stripe', operations, declinable);
  if (attempted) running.add(attempted.key);
  try {
    await pause(hit.delayMs, sandbox.signal);
    const done = perform(sandbox, { incoming, params, requestId, attempted, route: found.route, id: found.id, hit });
    return hit.effect === 'lost_reply' ? { ...done, lost: true } : done;
  } finally {
    if (attempted) running.delete(attempted.key);
  }
}

interface Request {
  incoming: Incoming;
  params: Params;
  requestId: string;
  attempted: Attempted | undefined;
  route: Route;
  id: string;
  hit: Hit;
}

function perform(sandbox: Sandbox, request: Request): Reply {
  const { incoming, params, requestId, attempted, hit } = request;
  const at = sandbox.now();
  const render = sandbox.render;
  const before = attempted && recall(sandbox.store, attempted, at);
  if (before) {
    const repeated = reply(before.key.outcome.status, bodyOf(before.line, before.key.outcome, params, render), incoming, requestId);
    Object.assign(repeated.headers as object, { 'idempotent-replayed': 'true', 'original-request': before.key.request });
    return repeated;
  }
  if (hit.effect === 'error') return fail(sandbox, request, at);

  const call: Call = {
    store: sandbox.store, at, requestId, params, render,
    hooks: hooksOf(sandbox.config),
    decline: hit.effect === 'decline',
    id: request.id,
    path: incoming.path,
  };
  const result = request.route.run(call);
  if ('object' in result) return reply(200, expand(result.object, expansions(params), render), incoming, requestId);
  const { line, outcome } = lineOf(result, at, requestId, attempted);
  const body = bodyOf(line, outcome, params, render); // before the write: it may still refuse an `expand`
  if (Object.keys(line).length > 1) sandbox.store.append(line);
  return reply(outcome.status, body, incoming, requestId);
}

function lineOf(result: Exclude<Result, { object: unknown }>, at: number, requestId: string, attempted: Attempted | undefined): { line: Line; outcome: Outcome } {
  const outcome: Outcome = { status: result.status, on: result.on, error: result.error };
  const key = attempted && { ...attempted, request: requestId, outcome };
  return { line: { at, ...result.change, ...(key && { key }) }, outcome };
}

function fail(sandbox: Sandbox, { incoming, requestId, attempted, hit }: Request, at: number): Reply {
  const outcome: Outcome = { status: hit.status, error: faultFields(hit.status) };
  const remembered = attempted && isRemembered(hit.status);
  if (remembered) sandbox.store.append({ at, key: { ...attempted, request: requestId, outcome } });
  const failed = reply(hit.status, { error: outcome.error }, incoming, requestId);
  if (remembered) Object.assign(failed.headers as object, { 'stripe-should-retry': 'false' }); // a retry would only repeat it
  if (hit.status === 429 || hit.status === 503) Object.assign(failed.headers as object, { 'retry-after': '1' });
  return failed;
}

function bodyOf(line: Line, outcome: Outcome, params: Params, now: RenderContext): object {
  // The line's own records go first: they are not in the store yet, or are there in a younger state.
  const render: RenderContext = {
    url: now.url,
    charge: (id) => (line.charge?.id === id ? line.charge : now.charge(id)),
    intent: (id) => (line.intent?.id === id ? line.intent : now.intent(id)),
  };
  if (outcome.on) return expand(renderSubject(line, outcome.on, render), expansions(params), render);
  return { error: line.intent ? { ...outcome.error, payment_intent: renderIntent(line.intent, render) } : outcome.error };
}

function reply(status: number, body: object | { error: ErrorFields }, incoming: Incoming, requestId: string): Reply {
  const headers: Record<string, string> = {
    'request-id': requestId,
    'stripe-version': incoming.headers['stripe-version'] ?? API_VERSION,
  };
  const key = incoming.headers['idempotency-key'];
  if (key && incoming.method === 'POST') headers['idempotency-key'] = key;
  return { status, headers, body: JSON.stringify(body) };
}

function contentOf(incoming: Incoming): string {
  if (incoming.oversize) throw new StripeRefusal(413, { type: 'invalid_request_error', message: 'Request entity too large.' });
  if (incoming.method !== 'POST') return incoming.query;
  const type = incoming.headers['content-type'] ?? 'application/x-www-form-urlencoded';
  if (incoming.body !== '' && !type.startsWith('application/x-www-form-urlencoded')) {
    throw badRequest('Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any questions, we can help at https://support.stripe.com/.');
  }
  return incoming.body;
}

const expansions = (params: Params) => listOf(params['expand']).filter((path) => typeof path === 'string');

function checkKey(header: string | undefined, secretKey: string): void {
  const given = apiKey(header);
  if (!given) {
    throw new StripeRefusal(401, { type: 'invalid_request_error', message: "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://docs.stripe.com/api#authentication for details, or we can help at https://support.stripe.com/." });
  }
  const [actual, expected] = [Buffer.from(given), Buffer.from(secretKey)];
  if (actual.length === expected.length && timingSafeEqual(actual, expected)) return;
  const shown = given.length > 12 ? `${given.slice(0, 8)}${'*'.repeat(Math.min(given.length - 12, 40))}${given.slice(-4)}` : '*'.repeat(given.length);
  throw new StripeRefusal(401, { type: 'invalid_request_error', message: `Invalid API Key provided: ${shown}` });
}

function apiKey(header: string | undefined): string {
  const [scheme = '', value = ''] = (header ?? '').split(' ');
  if (scheme.toLowerCase() === 'bearer') return value;
  if (scheme.toLowerCase() === 'basic') return Buffer.from(value, 'base64').toString().split(':')[0] ?? '';
  return '';
}
