// Reads orders, payments, reservations, messages and the provider's records, brings together what is of one order, and judges it.
import { BUCKETS, type Part, buckets, eachKey, namesOf, tagAt } from './buckets.ts';
import { RECORD, createLedger } from './ledger.ts';
import { buyerWasTold } from './messages.ts';
import { booksAgree, moneyIsRight, paidIsServed } from './money.ts';
import { type OrderFacts, type Scope, isMoving, isPaid } from './order-facts.ts';
import { MESSAGES, ORDERS, PAYMENTS, RESERVATIONS, ledgerAt, messagesAt, orderAt, paymentAt, reservationAt } from './order-rows.ts';
import { moneyRows } from './provider.ts';
import { type Invariant, type Tally, createTally } from './report.ts';
import { stockFollowsOrder } from './stock.ts';
import { hashOf, tagOf } from './text-hash.ts';
import { type World, isYoung, windowValues } from './window.ts';

const SIDES = [ORDERS, PAYMENTS, RESERVATIONS, MESSAGES] as const;

export async function checkOrders(world: World, tally: Tally): Promise<void> {
  const { window, databases, have } = world;
  const scope: Scope = { have, whole: window.since === undefined };
  const found = createTally();
  // They begin to gather while the ledger is read.
  const sides = SIDES.map((side) => {
    const database = databases[side.service];
    const rows = have.has(side.service) ? buckets(database, side, windowValues(window)) : none();
    return { bytes: side.bytes, next: inTurn(rows) };
  });
  try {
    const ledger = await readLedger(world, tally);
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const all = [...(await Promise.all(sides.map(({ next }) => next.of(bucket)))), ledger(bucket)];
      const bytes = Buffer.concat(all);
      let end = 0;
      const parts = all.map((one, i): Part => ({ bytes: sides[i]?.bytes ?? RECORD.bytes, end: (end += one.length) }));
      eachKey(bytes, parts, (places) => judge(factsAt(bytes, places, parts), scope, found));
    }
  } finally {
    await Promise.allSettled(sides.map(({ next }) => next.close()));
  }
  tally.add(await named(found, world));
}

/** Judges one order and counts what was judged. */
export function judge(facts: OrderFacts, scope: Scope, tally: Tally): void {
  const { order, payment, reservation, ledger } = facts;
  // Of an order before the window the rest is not at hand.
  if (!order && !scope.whole) return;
  const check = (invariant: Invariant, run: (problem: (text: string) => void) => void) => {
    tally.checked(invariant);
    run((problem) => tally.violated({ invariant, what: facts.orderId, problem }));
  };
  if (isMoving(facts)) return;
  if (scope.have.has('provider') && (ledger.length > 0 || order || payment)) check('I3', (problem) => moneyIsRight(facts, problem));
  if (order || payment || ledger.some(({ type }) => type === 'captured')) check('I4', (problem) => booksAgree(facts, scope, problem));
  if (order && (isPaid(facts) || order.state === 'CONFIRMED' || order.state === 'FULFILLED')) check('I8', (problem) => paidIsServed(facts, scope, problem));
  if (order || reservation) check('I1', (problem) => stockFollowsOrder(facts, scope, problem));
  if (order && !facts.messages?.moving) check('I9', (problem) => buyerWasTold(facts, scope, problem));
}

/** The provider's records by bucket; none when they can't be read. */
async function readLedger({ window, provider, have }: World, tally: Tally): Promise<(bucket: number) => Buffer> {
  const ledger = createLedger();
  let strangers = 0;
  for await (const rows of provider && have.has('provider') ? moneyRows(provider, window.since) : none()) {
    for (const row of rows) {
      if (row.orderId === '') strangers += 1;
      else ledger.add(row, isYoung(row.time, window));
    }
  }
  if (strangers > 0) tally.note('I4', `${strangers} records of the provider name no order; they are not ours to judge`);
  return ledger.buckets();
}

async function* none(): AsyncGenerator<never> {}

type Bucket = { bucket: number; bytes: Buffer };

/** The bytes of one bucket after the other; of those that are not there, none. */
function inTurn(found: AsyncGenerator<Bucket>) {
  const after = () => {
    const next = found.next();
    next.catch(() => {}); // told when it is awaited
    return next;
  };
  let next = after();
  return {
    async of(bucket: number): Promise<Buffer> {
      const { done, value } = await next;
      if (done || value.bucket !== bucket) return EMPTY;
      next = after();
      return value.bytes;
    },
    close: () => found.return(undefined),
  };
}
const EMPTY = Buffer.alloc(0);

/** All that is known of one order. It is told by its tag, which costs something: only when it is asked for. */
function factsAt(bytes: Buffer, places: number[], [orders, payments, reservations, messages]: Part[]): OrderFacts {
  let from = 0;
  const until = (part?: Part) => {
    const begin = from;
    while (from < places.length && (places[from] as number) < (part?.end ?? 0)) from += 1;
    return places.slice(begin, from);
  };
  const [order, paid, reservation] = [until(orders)[0], until(payments)[0], until(reservations)[0]];
  const payment = paid === undefined ? undefined : { at: paid, row: paymentAt(bytes, paid) };
  return {
    get orderId() {
      return tagAt(bytes, places[0] as number);
    },
    order: order === undefined ? undefined : orderAt(bytes, order),
    payment: payment?.row,
    reservation: reservation === undefined ? undefined : reservationAt(bytes, reservation),
    messages: messagesAt(bytes, until(messages)),
    ledger: places.slice(from).map((at) => ledgerAt(bytes, at, payment)),
  };
}

/** Who has them, in the order in which they are asked. */
const NAMES = [['order', 'orders', 'order_id'], ['payment', 'payment', 'order_id'], ['payment', 'payment', 'provider_payment_id'], ['inventory', 'reservation', 'order_id']] as const;

/** What was found, with names in place of tags: out of our tables, and what is in none by the ledger, which is read once more. */
async function named(found: Tally, { databases, provider, have, window }: World): Promise<Tally> {
  const all = [...found.rows.values()].flatMap(({ first }) => first);
  const wanted = new Set(all.flatMap(({ what, problem }) => `${what} ${problem}`.match(TAG) ?? []));
  const names = new Map<string, string>();
  const note = (tag: string, name: string) => void (wanted.delete(tag) && names.set(tag, name));
  for (const [service, table, column] of NAMES) if (have.has(service)) for (const [tag, name] of await namesOf(databases[service], table, column, wanted)) note(tag, name);
  if (wanted.size > 0 && provider && have.has('provider')) {
    for await (const rows of moneyRows(provider, window.since)) {
      for (const { orderId, intent } of rows) for (const text of [orderId, intent]) note(tagOf(hashOf(text)), text);
      if (wanted.size === 0) break;
    }
  }
  const name = (text: string) => text.replace(TAG, (tag) => names.get(tag) ?? tag);
  for (const violation of all) [violation.what, violation.problem] = [name(violation.what), name(violation.problem)];
  return found;
}
const TAG = /#[0-9a-f]{16}/g;
