// Who may call what, and on whose things: every RPC of the contracts by every caller, at the edge and at the services' own ports.
import { type DescMethod, type Message, create, getOption, toJsonString } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { SERVICE_HEADER } from '@millrace/chassis/api/named-service';
import { Role, access } from '@millrace/gen/millrace/type/v1/access_pb.js';
import { SERVICES as CONTRACTS, rpcTable } from '../../../edge/src/routes.ts';
import { SERVICES } from '../../../local/src/nats-permissions.ts';
import { attack } from '../attack.ts';
import { type Answer, PROTOCOLS, call } from '../buyers/call.ts';
import { clientsAt } from '../buyers/clients.ts';
import { type Known, sampleOf } from '../checks/samples.ts';
import type { Tally } from '../checks/tally.ts';
import type { Context } from '../experiment.ts';
import { query } from '../system/databases.ts';
import type { System } from '../system/system.ts';
import { until } from '../wait.ts';

const CALLERS = ['nobody', 'buyer', 'buyer2', 'service', 'admin'] as const;
type Caller = (typeof CALLERS)[number];
/** Whose things a call is about: buyer's, or nobody's because there are none. */
type Target = { whose: 'buyer' | 'nobody'; known: Known };
type Try = { method: DescMethod; caller: Caller; target: Target; url: string; headers: Record<string, string> };

const ROLES: Record<Exclude<Caller, 'nobody'>, Role> = { buyer: Role.BUYER, buyer2: Role.BUYER, service: Role.SERVICE, admin: Role.ADMIN };
const SUBJECT = 'demo-buyer';
/** What an error about somebody else's things must never quote. */
const EMAIL = 'a6-target@example.com';
const AT_ONCE = 12;
const READY_MS = 60_000;

const targets = new WeakMap<Context, Target[]>();

export const A6 = attack({
  id: 'A6',
  title: 'every RPC by every caller, on own and on others\' things',
  tries: 'calls by somebody',
  changesNothing: true,
  async prepare(context) {
    const { system: { runtime }, skus: [sku = ''], name } = context;
    const { orders, payments } = clientsAt(runtime.edge, runtime.tokens.buyer);
    const { order } = await orders.placeOrder({ requestId: name.slice(-64), customer: { name: 'A6', email: EMAIL }, lines: [{ sku, quantity: 1 }], paymentMethod: 'pm_card_visa' });
    const orderId = order?.orderId ?? '';
    await until('the payment of the target', READY_MS, async () => payments.getPayment({ orderId }));
    const [mail] = await until('the mail of the target', READY_MS, async () => {
      const rows = await query<{ notification_id: string }>(context.system, 'notification', 'SELECT notification_id FROM notification WHERE order_id = $1', [orderId]);
      return rows.length > 0 && rows;
    });
    const nothing = { order_id: `${orderId.slice(0, -4)}none`, customer_id: 'nobody-at-all', notification_id: crypto.randomUUID(), dead_letter_id: crypto.randomUUID(), sku };
    targets.set(context, [
      { whose: 'buyer', known: { ...nothing, order_id: orderId, customer_id: SUBJECT, notification_id: mail?.notification_id } },
      { whose: 'nobody', known: nothing },
    ]);
  },
  async round(context, tries) {
    const queue = context.random.shuffled(allTries(context.system, targets.get(context) ?? [])).values();
    const refusals = new Map<string, Answer>();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const one of queue) await make(context, one, tries, refusals);
    }));
    lookAlike(refusals, tries);
    await otherPeoplesLists(context, tries);
  },
});

function allTries(system: System, known: readonly Target[]): Try[] {
  const { edge, services } = system.runtime;
  return CONTRACTS.flatMap((contract) => contract.methods).flatMap((method) => {
    const { owner } = rpcTable([method.parent]).get(`/${method.parent.typeName}/${method.name}`) ?? {};
    const places: Pick<Try, 'url' | 'headers'>[] = owner === undefined
      ? [...SERVICES.map((name) => ({ url: edge, headers: { [SERVICE_HEADER]: name } })), ...SERVICES.map((name) => ({ url: services[name], headers: {} }))]
      : [{ url: edge, headers: {} }, { url: services[owner], headers: {} }];
    return places.flatMap((place) => CALLERS.flatMap((caller) => known.map((target) => ({ method, caller, target, ...place }))));
  });
}

async function make({ system: { runtime }, random }: Context, one: Try, tries: Tally, refusals: Map<string, Answer>): Promise<void> {
  const { method, caller, target, url, headers } = one;
  const wanted = expected(one);
  const token = caller === 'nobody' ? undefined : runtime.tokens[caller];
  const answer = await call(url, method, requestOf(one, wanted), { token, headers, protocol: random.pick(PROTOCOLS) });
  const what = `${method.name} by ${caller} on ${target.whose}'s at ${url}`;
  if (wanted === 'allowed') {
    const refused = answer.code === 'Unauthenticated' || answer.code === 'PermissionDenied' || answer.code === 'Internal' || answer.code === 'Unknown';
    tries.look(what, refused ? `answered ${answer.code}` : undefined);
  } else {
    tries.look(what, answer.code === wanted ? undefined : `answered ${answer.code}, not ${wanted}`);
    tries.look(what, JSON.stringify(answer.said).includes(EMAIL) ? 'quotes what is not the caller\'s' : undefined);
    if (wanted === 'NotFound') refusals.set(`${url} ${method.name} ${caller} ${target.whose}`, { ...answer, said: answer.said.replaceAll(idOf(target), 'ID') });
  }
}

/** From the contract alone. */
function expected({ method, caller, target }: Try): string {
  if (caller === 'nobody') return 'Unauthenticated';
  if (!getOption(method, access).roles.includes(ROLES[caller])) return 'PermissionDenied';
  if (ROLES[caller] !== Role.BUYER || (target.whose === 'buyer' && caller === 'buyer') || !isPersonal(method)) return 'allowed';
  // Placing for somebody else is told plainly: it names nothing that is there.
  if (method.name === 'PlaceOrder') return 'PermissionDenied';
  return method.name === 'ListOrders' ? 'allowed' : 'NotFound';
}

/** Whether it is about one customer's things. */
function isPersonal({ input }: DescMethod): boolean {
  return input.fields.some(({ name, message }) => name === 'order_id' || name === 'customer_id' || message?.fields.some((inner) => inner.name === 'customer_id'));
}

// What may be done is not done: a change goes out empty, and gets as far as its validation.
function requestOf({ method, target }: Try, wanted: string): Message {
  const changes = method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS && method.methodKind !== 'server_streaming';
  return wanted === 'allowed' && changes && method.name !== 'Reconcile' ? create(method.input) : sampleOf(method.input, target.known);
}

function idOf({ known }: Target): string {
  return String(known['order_id']);
}

/** Somebody else's and none are told with the same words. */
function lookAlike(refusals: ReadonlyMap<string, Answer>, tries: Tally): void {
  for (const [what, foreign] of refusals) {
    if (!what.endsWith(' buyer2 buyer')) continue;
    const none = refusals.get(what.replace(/buyer$/, 'nobody'));
    const [a, b] = [foreign, none].map((answer) => answer && `${answer.code} ${answer.reason} ${answer.said}`);
    tries.look(what, a === b ? undefined : `somebody else's: ${a}; none: ${b}`);
  }
}

/** A list has no owner to be refused by: it must hold only the caller's, whatever is asked, and take no page token of another's. */
async function otherPeoplesLists({ system: { runtime } }: Context, tries: Tally): Promise<void> {
  const method = CONTRACTS.flatMap(({ methods }) => methods).find(({ name }) => name === 'ListOrders') as DescMethod;
  for (const url of [runtime.edge, runtime.services.order]) {
    for (const known of [{ customer_id: SUBJECT }, { customer_id: '', query: EMAIL }, { customer_id: '', page_size: 500 }]) {
      const { messages } = await call(url, method, sampleOf(method.input, known), { token: runtime.tokens.buyer2 });
      const seen = messages.map((message) => toJsonString(method.output, message)).join();
      tries.look(`ListOrders ${JSON.stringify(known)} by buyer2 at ${url}`, seen.includes(EMAIL) || seen.includes(`"${SUBJECT}"`) ? 'shows somebody else\'s orders' : undefined);
    }
    const page = await call(url, method, sampleOf(method.input, { customer_id: '', page_size: 1 }), { token: runtime.tokens.admin });
    const { nextPageToken } = page.messages[0] as unknown as { nextPageToken: string };
    const stolen = await call(url, method, sampleOf(method.input, { customer_id: '', page_size: 1, page_token: nextPageToken }), { token: runtime.tokens.buyer2 });
    tries.look(`an admin's page token by buyer2 at ${url}`, nextPageToken !== '' && stolen.reason !== 'INVALID_PAGE_TOKEN' ? `answered ${stolen.code} ${stolen.reason}` : undefined);
  }
}
