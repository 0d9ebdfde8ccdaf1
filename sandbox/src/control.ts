// POST /control/…: how an operator or a test makes the providers misbehave.
import { asObject, ControlError, oneOf } from './faults.ts';
import type { Incoming, Reply } from './http.ts';
import type { Sandbox } from './sandbox.ts';
import { hooksOf } from './stripe/call.ts';
import { answerBank } from './stripe/intent-steps.ts';
import { NORMAL, parseMode } from './webhooks/mode.ts';

type Answer = (sandbox: Sandbox, body: unknown) => object;

const ROUTES: Record<string, Answer> = {
  'GET /control/faults': (sandbox) => sandbox.faults.list(),
  'POST /control/faults': (sandbox, body) => sandbox.faults.add(body),
  'GET /control/webhooks': webhookState,
  'POST /control/webhooks': (sandbox, body) => {
    sandbox.deliveries.setMode(parseMode(body));
    return webhookState(sandbox);
  },
  'POST /control/reset': (sandbox) => {
    sandbox.faults.clear();
    sandbox.deliveries.setMode(NORMAL);
    return { faults: [], webhooks: sandbox.deliveries.mode() };
  },
  'POST /control/stripe/authenticate': (sandbox, body) => {
    const fields = asObject(body, ['payment_intent', 'outcome']);
    const outcome = oneOf(fields, 'outcome', ['succeed', 'fail']);
    const id = fields['payment_intent'];
    if (typeof id !== 'string') throw new ControlError('payment_intent must be the id of an intent');
    return authenticate(sandbox, id, outcome === 'succeed');
  },
  'POST /control/stripe/expire_keys': (sandbox) => {
    const forgotten = sandbox.store.keyCount();
    sandbox.store.append({ at: sandbox.now(), forget: true });
    return { forgotten };
  },
};

export function control(sandbox: Sandbox, incoming: Incoming): Reply {
  const answer = ROUTES[`${incoming.method} ${incoming.path}`];
  if (!answer) {
    const known = Object.keys(ROUTES).filter((route) => route.endsWith(` ${incoming.path}`));
    if (known.length > 0) return reply(405, { error: `use ${known.join(' or ')}` });
    return reply(404, { error: `no such control; there are ${Object.keys(ROUTES).join(', ')}` });
  }
  try {
    return reply(200, answer(sandbox, incoming.method === 'POST' ? parseBody(incoming) : undefined));
  } catch (error) {
    if (error instanceof ControlError) return reply(400, { error: error.message });
    throw error;
  }
}

/** Lets the customer's bank answer; used by the control and by the page that stands in for the bank's. */
export function authenticate(sandbox: Sandbox, id: string, succeeded: boolean): { payment_intent: string; status: string } {
  const intent = sandbox.store.intents.get(id);
  if (!intent) throw new ControlError(`payment_intent must be the id of an intent, not ${JSON.stringify(id.slice(0, 100))}`);
  const at = sandbox.now();
  const change = answerBank({ store: sandbox.store, at, requestId: null, hooks: hooksOf(sandbox.config), decline: false }, intent, succeeded);
  if (!change) throw new ControlError(`payment_intent ${id} does not wait for its customer: its status is ${intent.status}, not requires_action`);
  sandbox.store.append({ at, ...change });
  return { payment_intent: id, status: change.intent?.status ?? intent.status };
}

function webhookState(sandbox: Sandbox): object {
  return { ...sandbox.deliveries.mode(), waiting: sandbox.deliveries.waiting(), counts: sandbox.deliveries.counts() };
}

function parseBody(incoming: Incoming): unknown {
  if (incoming.oversize) throw new ControlError('the body is larger than 1 MiB');
  if (incoming.body === '') return {};
  try {
    return JSON.parse(incoming.body);
  } catch {
    throw new ControlError('the body is not valid JSON');
  }
}

const reply = (status: number, body: object): Reply => ({ status, body: `${JSON.stringify(body)}\n` });
