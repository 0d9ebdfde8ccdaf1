// Whole journeys: placed, paid, confirmed, and both mails handed to the mail provider. Ends are heard on the broker, as any other program would.
import { setTimeout } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { connect } from '@nats-io/transport-node';
import { PlaceOrderResponseSchema } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { natsLogin } from '../../local/src/nats.ts';
import { createCaller } from './caller.ts';
import { type Histogram, createHistogram, record } from './histogram.ts';
import { type Basket, PLACE_ORDER, createRequests } from './load-place.ts';

export type JourneyTask = Basket & {
  url: string;
  token: string;
  nats: string;
  run: string;
  ms: number;
  /** Orders that may be on their way at once: enough to keep every stage busy. */
  underway: number;
  /** Orders placed a second, evenly, while fewer than `underway` are on their way; without it as many as the bound lets. */
  rate?: number;
  /** What the run leaves out at its start. */
  rampMs: number;
};

/** `done` journeys ended within `ms`; `backlog` were on their way, on an average, in the first and in the last quarter of that time. */
export type Journey = { placed: number; done: number; ms: number; latencies: Histogram; backlog: [number, number]; stillOpen: number };

const MAILS = 2;
/** Calls in flight; the bound on orders under way is what paces. */
const PLACERS = 32;
/** How often it is looked how many are under way: orders come in batches, and so a single look says little. */
const LOOK_MS = 50;
/** What is under way at the end gets this long to arrive. */
const SETTLE_MS = 60_000;

export async function runJourney(task: JourneyTask): Promise<Journey> {
  const connection = await connect(natsLogin(task.nats));
  const open = new Map<string, { startedAt: number; confirmed: boolean; mails: number }>();
  const early = new Map<string, { confirmed: boolean; mails: number }>();
  const latencies = createHistogram();
  let wake = (): void => {};
  let [placed, ended] = [0, 0];
  const endIfWhole = (orderId: string) => {
    const journey = open.get(orderId);
    if (journey === undefined || !journey.confirmed || journey.mails < MAILS) return;
    open.delete(orderId);
    ended += 1;
    record(latencies, performance.now() - journey.startedAt);
    wake();
  };
  const hear = (subject: string, note: (journey: { confirmed: boolean; mails: number }) => void) =>
    connection.subscribe(subject, {
      callback(_error, message) {
        const { orderId } = message.json<{ orderId: string }>();
        let journey = open.get(orderId) ?? early.get(orderId);
        if (journey === undefined) early.set(orderId, (journey = { confirmed: false, mails: 0 })); // faster than the answer to the call
        note(journey);
        endIfWhole(orderId);
      },
    });
  hear('orders.confirmed.*', (journey) => (journey.confirmed = true));
  hear('notifications.sent.*', (journey) => (journey.mails += 1));
  await connection.flush();

  const caller = createCaller(task.url, task.token);
  const request = createRequests(task, task.run, 'pm_card_visa');
  const begun = performance.now();
  let flying = 0;
  const isOver = () => performance.now() - begun >= task.rampMs + task.ms;
  const placer = async (first: number) => {
    for (let n = first; !isOver(); n += PLACERS) {
      const ahead = task.rate ? begun + (n / task.rate) * 1_000 - performance.now() : 0;
      if (ahead > 0) await setTimeout(ahead);
      while (open.size + flying >= task.underway && !isOver()) await new Promise<void>((resolve) => nextWake(resolve));
      flying += 1;
      const startedAt = performance.now();
      const answer = await caller.call(PLACE_ORDER, request(n)).finally(() => (flying -= 1));
      const orderId = fromBinary(PlaceOrderResponseSchema, answer).order?.orderId ?? '';
      open.set(orderId, { startedAt, ...(early.get(orderId) ?? { confirmed: false, mails: 0 }) });
      early.delete(orderId);
      placed += 1;
      endIfWhole(orderId);
    }
  };
  const waiting = new Set<() => void>();
  const nextWake = (resolve: () => void) => {
    waiting.add(resolve);
    void setTimeout(20, undefined, { ref: false }).then(resolve);
  };
  wake = () => {
    waiting.forEach((resolve) => resolve());
    waiting.clear();
  };
  const look = () => ({ at: performance.now(), ended });
  const underway: number[] = [];
  const looks = setInterval(() => performance.now() - begun >= task.rampMs && underway.push(open.size), LOOK_MS);
  const atStart = setTimeout(task.rampMs).then(look);
  const atEnd = setTimeout(task.rampMs + task.ms).then(look);
  await Promise.all(Array.from({ length: PLACERS }, (_, i) => placer(i)));
  const [from, to] = await Promise.all([atStart, atEnd]);
  clearInterval(looks);
  const quarter = Math.ceil(underway.length / 4);
  const deadline = performance.now() + SETTLE_MS;
  while (open.size > 0 && performance.now() < deadline) await setTimeout(50);
  caller.close();
  await connection.close();
  return { placed, done: to.ended - from.ended, ms: to.at - from.at, latencies, backlog: [mean(underway.slice(0, quarter)), mean(underway.slice(-quarter))], stillOpen: open.size };
}

function mean(counts: number[]): number {
  return Math.round(counts.reduce((sum, count) => sum + count, 0) / Math.max(1, counts.length));
}
