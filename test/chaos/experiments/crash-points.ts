// Every named crash point in turn: a process dies there, comes back, and dies at the next.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { CRASH_PLAN } from '../../../local/src/crash-plan.ts';
import { type Service, SERVICES } from '../../../local/src/nats-permissions.ts';
import type { Context, Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { CRASH_POINTS } from '../system/crash-points.ts';
import type { System } from '../system/system.ts';
import { pause } from '../wait.ts';

/** Points of each service; all in the longer forms. */
const POINTS: Lengths = { brief: 2, short: Number.POSITIVE_INFINITY, full: Number.POSITIVE_INFINITY };
/** A point is passed up to so many times before it kills. */
const MOST_PASSES = 2;
/** A point that nobody has passed for this long is given up; a dead worker's lease, after which some are passed, takes 20 s. */
const PATIENCE_MS: Lengths = { brief: 20_000, short: 30_000, full: 60_000 };
const LIMIT_MS: Lengths = { brief: 25_000, short: 130_000, full: 600_000 };
/** Payment has the most points, and most of the others' are passed only while it lives. */
const TURNS: readonly (readonly Service[])[] = [['payment'], SERVICES.filter((service) => service !== 'payment')];
const POLL_MS = 200;
/** The provider's SDK asks once more by itself, so that a fifth of all answers stays lost. */
const LOST = 0.45;
const PROVOKE_MS = 400;
const HOLD_MS = 1_000;
/** An order this old is settled as a rule, if its services live. */
const SETTLED_MS = 4_000;
/** Some of which were cancelled, and some declined. */
const LAST = 20;

type Plan = Record<Service, { points: string[]; hit: Set<string>; since: number }>;

export const E3: Experiment = {
  id: 'E3',
  title: 'kill -9 at every crash point: between answer and commit, commit and acknowledgement, publish and mark',
  // Soon enough for unpaid orders and their holds to end while it runs.
  env: { ORDER_PAYMENT_WINDOW: '20s', ORDER_HOLD_GRACE: '5s' },
  mix: { declined: 0.1, cancelled: 0.15, refunded: 0.15 },
  async run(context) {
    const { system, random, by, say } = context;
    // What a webhook or a look tells first is only so where the answer to a call was lost.
    await system.control('faults', { provider: 'stripe', effect: 'lost_reply', probability: LOST });
    const pointsOf = (service: Service): string[] => random.shuffled(CRASH_POINTS[service]).slice(0, by(POINTS));
    const plan = Object.fromEntries(SERVICES.map((service) => [service, { points: pointsOf(service), hit: new Set<string>(), since: Date.now() }])) as Plan;
    const over = new AbortController();
    const provoking = provoke(context, over.signal);
    try {
      for (const services of TURNS) await dieAtAll(context, services, plan);
    } finally {
      over.abort();
      await provoking;
    }
    for (const service of SERVICES) for (const point of plan[service].points) say(`    ${service}.${point}: ${plan[service].hit.has(point) ? 'died there' : 'never passed'}`);
    const missed = SERVICES.flatMap((service) => plan[service].points.filter((point) => !plan[service].hit.has(point)).map((point) => `${service}.${point}`));
    const hits = SERVICES.reduce((sum, service) => sum + plan[service].hit.size, 0);
    const all = SERVICES.reduce((sum, service) => sum + plan[service].points.length, 0);
    return { count: hits, what: `deaths at as many crash points of ${all}${missed.length > 0 ? `; never passed: ${missed.join(', ')}` : ''}` };
  },
};

async function dieAtAll(context: Context, services: readonly Service[], plan: Plan): Promise<void> {
  const { system, random } = context;
  const planFile = path.join(system.home, CRASH_PLAN);
  const lines = services.flatMap((service) => plan[service].points.map((point) => `${service}.${point}:${1 + Math.floor(random.next() * MOST_PASSES)}\n`));
  writeFileSync(planFile, lines.join(''));
  for (const service of services) plan[service].since = Date.now();
  try {
    const before = Object.fromEntries(services.map((service) => [service, deathsOf(system, service).length]));
    await system.kill(services); // what comes back has its first point armed, and may die there before we look
    await passAll(context, services, plan, before);
  } finally {
    writeFileSync(planFile, '');
    for (const service of services) await killIfAlive(system, service); // nothing stays armed
  }
}

/** Waits until each service has died at all of its points. One that waits in vain is killed, and goes on with the next. */
async function passAll({ system, by }: Context, services: readonly Service[], plan: Plan, before: Record<string, number>): Promise<void> {
  const until = Date.now() + by(LIMIT_MS);
  while (Date.now() < until) {
    const left = waiting(system);
    let open = false;
    for (const service of services) {
      const mine = plan[service];
      const hits = deathsOf(system, service).slice(before[service]);
      if (hits.length > mine.hit.size) mine.since = Date.now();
      mine.hit = new Set(hits);
      const armed = mine.points.length - left.filter((line) => line.startsWith(`${service}.`)).length;
      if (armed === mine.points.length && (mine.hit.size === armed || Date.now() - mine.since > by(PATIENCE_MS))) continue;
      open = true;
      if (Date.now() - mine.since <= by(PATIENCE_MS)) continue;
      mine.since = Date.now();
      await killIfAlive(system, service);
    }
    if (!open) return;
    await pause(POLL_MS);
  }
}

/** It may be dying at its point this very moment. */
async function killIfAlive(system: System, service: Service): Promise<void> {
  await system.kill([service]).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  });
}

const waiting = ({ home }: System): string[] => (existsSync(path.join(home, CRASH_PLAN)) ? readFileSync(path.join(home, CRASH_PLAN), 'utf8').split('\n').filter(Boolean) : []);

/** The points at which a service has died so far, by its log. */
function deathsOf({ home }: System, service: Service): string[] {
  const log = readFileSync(path.join(home, 'logs', `${service}.log`), 'utf8');
  return [...log.matchAll(/^crash point (\S+)$/gm)].map(([, point = '']) => point);
}

/** Calls that pass the rarer points, and may fail as the services come and go. */
async function provoke({ admin, load, journal, skus }: Context, signal: AbortSignal): Promise<void> {
  const sku = skus[0] as string;
  const lines = [{ sku, quantity: 1 }];
  const requestId = (): string => `provoked-${randomUUID()}`.slice(0, 64);
  let asked = 0;
  const settledOrder = (): string => {
    asked += 1;
    const settled = journal.entries().filter(({ request, outcome, answered_at = '' }) => request.do === 'place' && outcome === 'ok' && Date.parse(answered_at) < Date.now() - SETTLED_MS);
    return settled.at(-1 - (asked % Math.min(LAST, settled.length)))?.order_id ?? '';
  };
  const calls = [
    async () => load.place({ lines: [{ sku: 'nowhere', quantity: 1 }], paymentMethod: 'pm_card_visa' }),
    async () => admin.orders.cancelOrder({ orderId: (await load.place({ lines, paymentMethod: '' })).order_id ?? '', reason: 'at once', requestId: requestId() }),
    async () => admin.payments.confirmPayment({ orderId: (await load.place({ lines, paymentMethod: '' })).order_id ?? '', paymentMethod: 'pm_card_visa', requestId: requestId() }),
    async () => admin.orders.fulfillOrder({ orderId: settledOrder(), carrier: 'DHL', trackingNumber: '1', requestId: requestId() }),
    async () => admin.payments.refundPayment({ orderId: settledOrder(), amount: { currencyCode: 'EUR', minorUnits: 1n }, reason: 'provoked', requestId: requestId() }),
    async () => admin.products.createProduct({ requestId: requestId(), product: { sku: `${sku}-${randomUUID().slice(0, 8)}`.slice(-64), name: 'Provoked', price: { currencyCode: 'EUR', minorUnits: 100n } }, initialStock: 1 }),
    async () => admin.inventory.adjustStock({ requestId: requestId(), sku, delta: 1, reason: 'found' }),
    async () => admin.inventory.reserveStock({ orderId: `ord_${randomUUID()}`, lines, holdUntil: timestampFromDate(new Date(Date.now() + HOLD_MS)) }),
  ];
  const open = new Set<Promise<unknown>>();
  for (let i = 0; !signal.aborted; i += 1) {
    const call: Promise<unknown> = (calls[i % calls.length] as () => Promise<unknown>)().catch(() => {}).finally(() => open.delete(call));
    open.add(call);
    await pause(PROVOKE_MS);
  }
  await Promise.all(open);
}
