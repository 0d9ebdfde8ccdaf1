// One run against one system: warm-up, rounds that alternate between the cases, what is measured once, and the audit.
import { CONSUMERS, type ConsumerRoute } from '../../local/src/topology.ts';
import { type Acknowledged, auditAtRest, auditHeld, rows } from './audit.ts';
import { type Batches, type Share, batchesOf, saidWhile } from './batches.ts';
import { AFTERWARDS, hearing, openBroker } from './consumers.ts';
import { type Flags, SUSTAINED } from './flags.ts';
import { percentile } from './histogram.ts';
import type { Journey, JourneyTask } from './load-journey.ts';
import { READS } from './load-reads.ts';
import type { ProtocolName } from './protocols.ts';
import { type Figure, type Sample, type Use, each, figure, measure, startLoader, startUse, weigh } from './measure.ts';
import { SETTLED_MS, nothingToSend, quiet, settled } from './quiet.ts';
import { RefusedError } from './refused.ts';
import { type ScratchService, makeScratch, scratchUrl } from './scratch.ts';
import { type System, until } from './system.ts';
import { type WarmUp, warmUp } from './warm-up.ts';

/** Orders a second that ended while `SUSTAINED` were placed, for `seconds`; `most` when as many were placed as went. */
export type JourneyFigure = { rate: number; most: number; seconds: number; p50: number; p99: number; backlog: [number, number] } & Use;
/** Events a second. */
export type DrainFigure = { rate: number } & Use;
export type Results = {
  together: boolean;
  warmUp: WarmUp;
  figures: Record<string, Figure>;
  /** Orders that shared a transaction, by case. */
  batches: Record<string, Batches>;
  /** By consumer and stream. */
  drained: Record<string, DrainFigure>;
  journey: JourneyFigure | undefined;
  /** Megabytes of services and edge under load: the most of those after the journeys and after each placing. */
  memory: { pss: number; rss: number };
  acknowledged: Acknowledged;
};
const CLIENTS = 64;
const SKUS = 1_000;
const STOCK = 1_000_000;
const SPREAD = { prefix: 'spread', skus: SKUS, lines: 1 };
const HOT = { prefix: 'hot', skus: 1, lines: 1 };
const BASKET = { prefix: 'spread', skus: SKUS, lines: 3 };
const HOT_STOCK = 1_000_000_000;
/** Orders that don't count, after a limit was measured: the first that touches a page after a checkpoint pays for its copy in the log. */
const SETTLING = 1_000;
/** Four seconds' worth: with fewer the services' rests would set the pace, not the machine. */
const UNDERWAY = 1_600;
/** How long as many are placed as go. */
const MOST_MS = 20_000;
/** What gathers in half a minute in which a service is away. */
const BACKLOG = 16_000;
/** Drained before it: batches as large as a backlog's are what nothing has been made warm by yet. */
const FIRST_BACKLOG = 8_000;
const QUICK_BACKLOG = 1_000;

export async function runOn(system: System, flags: Flags, say: (line: string) => void): Promise<Results> {
  const { runtime, adminUrl, setupUrl, together } = system;
  const ms = flags.quick ? 600 : 3_000;
  const [edge, order] = [runtime.edge, runtime.services.order];
  const token = runtime.tokens.service;
  const doors = [edge, order].map((url) => (calls: number) => place({ url, ...SPREAD, calls }));
  const asks = (name: Flags['cases'][number]) => flags.cases.includes(name);
  const [loader, limiter, broker] = [startLoader(), startLoader(), await openBroker(setupUrl)];
  const acknowledged: Acknowledged = { orders: 0, unknown: 0, reservations: 0, journeys: 0 };
  const samples: Record<string, Sample[]> = {};
  const runs: Record<string, string[]> = {};
  const said: Record<string, Share[]> = {};
  let [sequence, peak] = [0, { pss: 0, rss: 0 }];

  try {
    refuseIfAny(system.objections());
    say('stock');
    for (const { prefix, skus } of [SPREAD, HOT]) await loader.run({ kind: 'import', url: edge, token: runtime.tokens.admin, prefix, from: 0, count: skus, stock: skus === 1 ? HOT_STOCK : STOCK });
    await until(async () => (await rows(runtime.postgres.inventory, 'SELECT FROM stock WHERE opened')).length >= SKUS + 1, SETTLED_MS);
    say('warm-up');
    await warmUp(doors, { quick: true });
    await quiet(broker, system);
    let journey: JourneyFigure | undefined;
    const drained: Results['drained'] = {};
    if (asks('journey')) journey = await sustainJourneys();
    if (asks('drain')) {
      say('consumers');
      if (!flags.quick) {
        await drainAfterPayment({}, FIRST_BACKLOG);
        await quiet(broker, system);
      }
      await drainAfterPayment(drained, flags.quick ? QUICK_BACKLOG : BACKLOG);
    }
    await quiet(broker, system);
    refuseIfAny([...system.objections(), ...(await auditAtRest(system))]);
    await broker.hold(AFTERWARDS);
    // Once more, and longer: what is measured now is what nothing else competes with, and together it was a part of all that one process did.
    say('warm-up');
    const warm = await warmUp(doors, flags);
    await rounds();
    if (asks('import')) await importCatalogue(drained);
    say('audit');
    refuseIfAny([...system.objections(), ...(await auditHeld(system, acknowledged))]);
    const batches = await batchesOf(runtime.postgres, runs, said);
    return { together, warmUp: warm, figures: Object.fromEntries(Object.entries(samples).map(([name, taken]) => [name, figure(taken)])), batches, drained, journey, memory: peak, acknowledged };
  } finally {
    loader.end();
    limiter.end();
    await broker.close();
  }

  async function rounds(): Promise<void> {
    const needsLimits = asks('place') || asks('flash');
    if (needsLimits) await makeScratch(adminUrl);
    for (let round = 1; round <= flags.rounds; round += 1) {
      say(`round ${round} of ${flags.rounds}`);
      if (asks('place')) {
        await take('limit: insert', () => beside('inserts', 'order'));
        await place({ url: edge, ...SPREAD, calls: SETTLING });
        await take('place, edge, 64', () => place({ url: edge, ...SPREAD }));
        await take('place, order, 64', () => place({ url: order, ...SPREAD }));
        for (const clients of [1, 16, 256]) await take(`place, edge, ${clients}`, () => place({ url: edge, ...SPREAD, clients }));
        await take('place, order, 1', () => place({ url: order, ...SPREAD, clients: 1 }));
        for (const protocol of ['gRPC', 'JSON'] as const) await take(`place, edge, 64, ${protocol}`, () => place({ url: edge, ...SPREAD, protocol }));
      }
      if (asks('open')) {
        const most = samples['place, edge, 64']?.at(-1)?.rate ?? (await place({ url: edge, ...SPREAD })).rate;
        await take('open loop at half, edge', () => place({ url: edge, ...SPREAD, rate: most / 2 }));
      }
      if (asks('flash')) {
        await take('flash, edge, 64', () => place({ url: edge, ...HOT }));
        await take('limit: stock update', () => beside('updates', 'inventory'));
        await take('stock statement', () => beside('holds', 'inventory'));
        await take('reserve one sku, inventory, 64', () => reserve());
      }
      if (asks('baskets')) await take('baskets of 3, edge, 64', () => place({ url: edge, ...BASKET }));
      if (asks('reads')) await takeReads();
      if (asks('drain')) await take('limit: batch publish', () => measure(system, limiter, { kind: 'publishes', nats: setupUrl, ms }));
    }
  }

  async function take(name: string, work: () => Promise<Sample>): Promise<void> {
    const measured = async () => void (samples[name] ??= []).push(await work());
    if (name.startsWith('place') || name.startsWith('flash')) {
      (said[name] ??= []).push(await saidWhile(order, measured));
      (runs[name] ??= []).push(`bench-${sequence}`);
    } else await measured();
    if (name === 'place, edge, 64') weighServices();
  }

  function weighServices(): void {
    const used = weigh(system, loader);
    if (used.pss > peak.pss) peak = used;
  }

  async function place(task: { url: string; prefix: string; skus: number; lines: number; clients?: number; calls?: number; rate?: number; paymentMethod?: string; protocol?: ProtocolName }): Promise<Sample> {
    const sample = await measure(system, loader, { kind: 'place', token, run: `bench-${++sequence}`, clients: CLIENTS, ms: task.calls === undefined ? ms : SETTLED_MS, ...task });
    acknowledged.orders += sample.done;
    for (const [code, count] of Object.entries(sample.refused)) if (code !== 'not sent') acknowledged.unknown += count;
    return sample;
  }

  /** In the scratch databases, and after a shorter run of the same that doesn't count. */
  async function beside(kind: 'inserts' | 'updates' | 'holds', service: ScratchService): Promise<Sample> {
    const task = { kind, url: scratchUrl(adminUrl, service), clients: CLIENTS };
    await limiter.run({ ...task, ms: ms / 3 });
    return measure(system, limiter, { ...task, ms });
  }

  async function reserve(): Promise<Sample> {
    const sample = await measure(system, loader, { kind: 'reserve', url: runtime.services.inventory, token, sku: 'hot-0', clients: CLIENTS, ms });
    acknowledged.reservations += sample.done;
    return sample;
  }

  async function takeReads(): Promise<void> {
    const found = await rows<{ order_id: string }>(runtime.postgres.order, 'SELECT order_id FROM orders ORDER BY create_time DESC LIMIT 1000');
    const orderIds = found.map(({ order_id: id }) => id);
    for (const rpc of READS) await take(`read ${rpc}, edge, 64`, () => measure(system, loader, { kind: 'reads', url: edge, token, rpc, orderIds, prefix: SPREAD.prefix, skus: SKUS, clients: CLIENTS, ms: ms / 2 }));
  }

  async function sustainJourneys(): Promise<JourneyFigure> {
    say(`journeys: as many as go, then ${SUSTAINED} a second for ${flags.journeySeconds} s`);
    const most = await journeys({ ms: flags.quick ? ms : MOST_MS });
    const used = startUse(system, loader);
    const seen = await journeys({ ms: flags.journeySeconds * 1_000, rate: SUSTAINED });
    const use = each(used(), seen.placed);
    weighServices();
    return { rate: perSecond(seen), most: perSecond(most), seconds: Math.round(seen.ms / 1_000), p50: percentile(seen.latencies, 0.5), p99: percentile(seen.latencies, 0.99), backlog: seen.backlog, ...use };
  }

  async function journeys(pace: Pick<JourneyTask, 'ms' | 'rate'>): Promise<Journey> {
    const task = { url: edge, token, nats: runtime.nats, run: `bench-${++sequence}`, rampMs: flags.quick ? 2_000 : 5_000, underway: UNDERWAY };
    const seen = await loader.run<Journey>({ kind: 'journey', ...task, ...pace, ...SPREAD });
    if (seen.stillOpen > 0) throw new RefusedError([`${seen.stillOpen} journeys of ${seen.placed} did not end`]);
    acknowledged.orders += seen.placed;
    acknowledged.journeys += seen.placed;
    return seen;
  }

  /** What hears of payments is held while orders are paid, then let go one after the other, mails last: what other consumers make of a drain waits until all are over. */
  async function drainAfterPayment(drained: Results['drained'], calls: number): Promise<void> {
    const drains = [...hearing('PAYMENTS', 'inventory', 'order'), ...hearing('INVENTORY', 'order'), ...hearing('ORDERS', 'notification'), ...hearing('PAYMENTS', 'notification')];
    await broker.hold(drains);
    const { done } = await place({ url: edge, ...SPREAD, calls, paymentMethod: 'pm_card_visa' });
    acknowledged.journeys += done;
    for (const consumer of hearing('PAYMENTS', 'order')) await until(async () => (await broker.backlog(consumer)) >= done, SETTLED_MS);
    await settled(broker, hearing('ORDERS', 'payment'));
    const following = CONSUMERS.filter((consumer) => !drains.includes(consumer));
    await broker.hold(following);
    for (const consumer of drains) await drain(consumer, drained);
    await broker.release(following);
  }

  async function importCatalogue(drained: Results['drained']): Promise<void> {
    say('import');
    const count = flags.quick ? 3_000 : 10_000;
    const consumers = hearing('PRODUCTS', 'inventory');
    await broker.hold(consumers);
    await take('import', () => measure(system, loader, { kind: 'import', url: edge, token: runtime.tokens.admin, prefix: 'imported', from: 0, count, stock: 10 }));
    for (const consumer of consumers) {
      await until(async () => (await broker.backlog(consumer)) >= count, SETTLED_MS);
      await drain(consumer, drained);
    }
  }

  /** Alone: what the drain before gave to send has been sent. */
  async function drain(consumer: ConsumerRoute, drained: Results['drained']): Promise<void> {
    await nothingToSend(system);
    const { events, ms: took, use } = await broker.drain(consumer, () => startUse(system, loader));
    if (events > 0) drained[`${consumer.durable} ← ${consumer.stream}`] = { rate: (events / took) * 1_000, ...each(use, events) };
  }
}

function perSecond({ done, ms }: Journey): number {
  return (done / ms) * 1_000;
}

function refuseIfAny(problems: string[]): void {
  if (problems.length > 0) throw new RefusedError(problems);
}
