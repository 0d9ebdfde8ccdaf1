// The wrong moment: keys that repeat an error and are then forgotten, money that comes as the hold ends, handlers that outlive their leases.
import { randomUUID } from 'node:crypto';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { type Service, SERVICES } from '../../../local/src/nats-permissions.ts';
import type { Broken, Context, Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { consumers, count, ledger, query } from '../system/databases.ts';
import type { System } from '../system/system.ts';
import { pause } from '../wait.ts';
import { startTwin } from './events.ts';

const UNDER_FAULT_MS: Lengths = { brief: 4_000, short: 10_000, full: 40_000 };
const SOME = 0.25;
/** So long payment works between two days on which it is away. */
const AT_WORK_MS = 2_000;

export const E15: Experiment = {
  id: 'E15',
  title: 'the provider stores a 500 under the key and repeats it, answers are lost, and after a day it has forgotten all keys',
  mix: { declined: 0.1, cancelled: 0.1, refunded: 0.3 },
  async run(context) {
    const { system, by } = context;
    const before = await count(system, 'payment', 'payment WHERE generation > 0');
    for (const operation of ['payment_intents.create', 'payment_intents.confirm', 'payment_intents.cancel', 'refunds.create']) {
      await system.control('faults', { provider: 'stripe', operation, effect: 'error', status: 500, probability: SOME });
      await system.control('faults', { provider: 'stripe', operation, effect: 'lost_reply', probability: SOME });
    }
    let forgotten = 0;
    const until = Date.now() + by(UNDER_FAULT_MS);
    do {
      await pause(AT_WORK_MS);
      // A day passes while payment is dead, in the middle of whatever it was doing; no call of its SDK repeats itself across a day.
      await system.killWhile(['payment'], async () => void (forgotten += Number((await system.control('stripe/expire_keys', {}))['forgotten'])));
    } while (Date.now() < until);
    const changed = (await count(system, 'payment', 'payment WHERE generation > 0')) - before;
    return { count: Math.min(changed, forgotten), what: `payments that needed another key; ${forgotten} keys were forgotten meanwhile` };
  },
};

/** The time to pay and the hold end together, soon after the order. */
const WINDOW_MS = 4_000;
const RACES: Lengths = { brief: 40, short: 120, full: 600 };
const RACES_PER_SECOND = 10;
/** Around the time that the order names. */
const SPREAD_MS = 1_500;
/** Who pays just before the end is too late for certain, also on a machine where orders end a second late. */
const LONG_MS = 2 * SPREAD_MS;
/** Two units an order, and some go without. */
const SCARCE = 60;
/** When all payments of a round fell on one side of the end, as they do where the machine is late by more than their spread, the next round pays earlier, or later, by this. */
const STEP_MS = 750;
const MAX_ROUNDS = 4;

export const E21: Experiment = {
  id: 'E21',
  title: 'payments succeed at the instant at which the time to pay and the hold are over',
  env: { ORDER_PAYMENT_WINDOW: `${WINDOW_MS}ms`, ORDER_HOLD_GRACE: '0ms' },
  perSecond: 0,
  stock: SCARCE,
  async run(context) {
    // The provider takes its time, so that some money comes when the order is over already: a moment too late, and long after.
    for (const [delay_ms, probability] of [[LONG_MS, 0.3], [300, 0.4]]) await context.system.control('faults', { provider: 'stripe', operation: 'payment_intents.confirm', effect: 'delay', delay_ms, probability });
    const seen: Raced = { inTime: 0, tooLate: 0, never: 0 };
    for (let round = 1, shiftMs = 0; round <= MAX_ROUNDS && Math.min(seen.inTime, seen.tooLate) === 0; round += 1) {
      const { inTime, tooLate, never } = await raced(context, shiftMs);
      Object.assign(seen, { inTime: seen.inTime + inTime, tooLate: seen.tooLate + tooLate, never: seen.never + never });
      shiftMs += inTime === 0 ? -STEP_MS : STEP_MS;
    }
    return { count: Math.min(seen.inTime, seen.tooLate), what: `payments on the rarer side of the end: ${seen.inTime} in time, ${seen.tooLate} paid and too late, ${seen.never} never paid` };
  },
};

/** Orders by which side of their end the money came on. */
type Raced = { inTime: number; tooLate: number; never: number };

async function raced({ system, load, admin, random, by, skus }: Context, shiftMs: number): Promise<Raced> {
  const race = async (): Promise<string | undefined> => {
    const entry = await load.place({ lines: [{ sku: random.pick(skus), quantity: 2 }], paymentMethod: '' });
    if (entry.outcome !== 'ok' || entry.order_id === undefined) return undefined;
    const { order } = await admin.orders.getOrder({ orderId: entry.order_id });
    if (order?.paymentDueTime === undefined) return undefined;
    await pause(Math.max(0, timestampMs(order.paymentDueTime) - Date.now() + shiftMs + random.between(-SPREAD_MS, SPREAD_MS / 2)));
    await admin.payments.confirmPayment({ orderId: entry.order_id, paymentMethod: 'pm_card_visa', requestId: randomUUID() }).catch(() => {});
    return entry.order_id;
  };
  const races: Promise<string | undefined>[] = [];
  for (let i = 0; i < by(RACES); i += 1) {
    races.push(race());
    await pause(1_000 / RACES_PER_SECOND);
  }
  const orderIds = (await Promise.all(races)).flatMap((orderId) => orderId ?? []);
  const paid = new Set((await ledger(system, 'stripe')).filter(({ type, order_id }) => type === 'captured' && orderIds.includes(order_id)).map(({ order_id }) => order_id));
  const tooLate = await count(system, 'order', "orders WHERE state = 'CANCELLED' AND order_id = ANY($1)", [[...paid]]);
  return { inTime: paid.size - tooLate, tooLate, never: orderIds.length - paid.size };
}

/** The consumers' ack_wait is 10 s. */
const ACK_WAIT_MS = 10_000;
/** Each way to the database, so that the handful of statements of a handler take longer than that. */
const SLOW_MS = 1_500;
const SLOW_PHASE_MS: Lengths = { brief: 20_000, short: 25_000, full: 60_000 };
/** Where the machine is busy, it takes longer until a slow handler has been at it that long. */
const SLOW_LIMIT_MS = 90_000;
const FROZEN_MS = 14_000;
const POLL_MS = 500;
const HEARERS: readonly Service[] = SERVICES.filter((service) => service !== 'product');

export const E23: Experiment = {
  id: 'E23',
  title: 'handlers slower than ack_wait, and two workers on one message',
  async run(context) {
    const { system, by, say, random } = context;
    const slowest = await slowly(context, by(SLOW_PHASE_MS));
    say(`    the longest transaction of a handler took ${(slowest.ms / 1_000).toFixed(1)} s; ${slowest.repeated} messages were delivered again meanwhile`);
    if (slowest.ms < ACK_WAIT_MS) throw new Error(`no handler was slower than ack_wait: ${slowest.ms} ms`);
    // One stops in mid-work, its messages go to a second instance, and then it goes on with them.
    const victim = random.pick(HEARERS);
    const twin = await startTwin(system, victim);
    try {
      const before = await repeats(system, victim);
      await system.freeze(victim, FROZEN_MS);
      const shared = (await repeats(system, victim)) - before;
      return { count: shared, what: `messages of ${victim} that two instances worked on, after handlers of ${Math.round(slowest.ms / 1_000)} s` };
    } finally {
      await twin.stop();
    }
  },
  async check({ system }): Promise<Broken[]> {
    // A slow handler says that it is at work, so its message is not buried for being delivered too often.
    const buried = await Promise.all(HEARERS.map(async (service) => ({ service, n: await count(system, service, 'dead_letter WHERE state = 1') })));
    return buried.filter(({ n }) => n > 0).map(({ service, n }) => ({ invariant: 'I14', what: service, problem: `${n} messages were buried for being slow` }));
  },
};

/** Deliveries beyond the first, of all messages that a service has heard; those under way are among them for a moment. */
async function repeats(system: System, service: Service): Promise<number> {
  const deliveries = (await consumers(system)).filter((one) => one.service === service).reduce((sum, one) => sum + one.deliveries, 0);
  return deliveries - (await count(system, service, 'inbox')) - (await count(system, service, 'dead_letter'));
}

/** Every statement of every service waits on its way to the database and back: so long, and until a handler has outlived its ack_wait. */
async function slowly({ system }: Context, forMs: number): Promise<{ ms: number; repeated: number }> {
  const all = async (): Promise<number> => (await Promise.all(HEARERS.map(async (service) => repeats(system, service)))).reduce((sum, n) => sum + n, 0);
  const before = await all();
  let ms = 0;
  system.proxies.postgres.set({ kind: 'latency', ms: () => SLOW_MS });
  const began = Date.now();
  while (Date.now() < began + forMs || (ms < ACK_WAIT_MS && Date.now() < began + SLOW_LIMIT_MS)) {
    await pause(POLL_MS);
    for (const service of HEARERS) {
      const [row] = await query<{ ms: number | null }>(system, service, 'SELECT max(extract(epoch FROM clock_timestamp() - xact_start) * 1000)::float8 AS ms FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()');
      ms = Math.max(ms, row?.ms ?? 0);
    }
  }
  const repeated = (await all()) - before;
  system.proxies.postgres.set({ kind: 'none' });
  return { ms, repeated };
}
