// Delivers webhooks until the endpoint takes them: at least once, in no promised order, with growing pauses, going on
// after a restart with what the journal still owes.
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Store } from '../store/store.ts';
import { createDueQueue } from './due-queue.ts';
import { type Mode, NORMAL, planDelivery } from './mode.ts';
import { createSender } from './send.ts';
import type { WebhookSource } from './source.ts';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000; // an endpoint that comes back is not kept waiting
const MAX_ATTEMPTS = 240; // about an hour; afterwards only a restart tries again
const MAX_IN_FLIGHT = 512; // a third of a second's worth at 1,500 a second; halved by every failure down to one, so that a dead endpoint costs little
const DONE_PER_LINE = 500;

export interface Deliveries {
  mode(): Mode;
  setMode(mode: Mode): void;
  waiting(): number;
  counts(): Record<string, number>;
  start(): void;
  stop(): Promise<void>;
}

interface Entry {
  hook: string;
  attempt: number;
  due: number;
  order: number;
  copies: number;
  forged: number;
}

export function createDeliveries(store: Store, sourceOf: (hook: string) => WebhookSource, log: Log, metrics: Metrics): Deliveries {
  const queue = createDueQueue<Entry>();
  const sender = createSender(MAX_IN_FLIGHT);
  const flying = new Set<Promise<void>>();
  const counts = { delivered: 0, failed: 0, given_up: 0, dropped: 0, duplicated: 0, forged: 0, forged_accepted: 0 };
  let mode: Mode = NORMAL;
  let timer: NodeJS.Timeout | undefined;
  let timerDue = 0;
  let limit = MAX_IN_FLIGHT;
  let order = 0;
  let done: string[] = [];
  let stopped = true;
  let failing = false;

  const count = (name: keyof typeof counts) => {
    counts[name]++;
    metrics.count('sandbox_webhooks_total', { outcome: name });
  };

  const finish = (hook: string) => {
    if (done.push(hook) === 1) setImmediate(writeDone);
  };
  // Losing these marks only repeats a delivery, so they are written together and late.
  const writeDone = () => {
    const hooks = done;
    done = [];
    try {
      for (let i = 0; i < hooks.length; i += DONE_PER_LINE) store.append({ at: Date.now(), done: hooks.slice(i, i + DONE_PER_LINE) });
    } catch (error) {
      log.error('could not remember delivered webhooks', { error: String(error) });
    }
  };

  const enqueue = (hook: string) => {
    const now = Date.now();
    const plan = planDelivery(mode, now);
    if (plan.drop) {
      count('dropped');
      finish(hook);
      return;
    }
    order++;
    queue.push({ hook, attempt: 0, due: now + plan.wait, order: plan.reversed ? -order : order, copies: plan.copies, forged: plan.forged });
    wake();
  };

  const wake = () => {
    const next = queue.peek();
    if (stopped || !next || flying.size >= limitNow()) return; // when full, a returning flight wakes again
    if (timer && timerDue <= next.due) return;
    clearTimeout(timer);
    timerDue = next.due;
    timer = setTimeout(pump, Math.max(0, next.due - Date.now()));
  };
  const limitNow = () => (mode.mode === 'reorder' ? 1 : limit); // two at a time could overtake each other

  const pump = () => {
    timer = undefined;
    const now = Date.now();
    for (let next = queue.peek(); next && next.due <= now && flying.size < limitNow(); next = queue.peek()) {
      queue.pop();
      launch(attempt(next));
    }
    wake();
  };

  const launch = (work: Promise<void>) => {
    const flight = work
      .catch((error: unknown) => log.error('webhook failed', { error: String(error) }))
      .finally(() => {
        flying.delete(flight);
        wake();
      });
    flying.add(flight);
  };

  const attempt = async (entry: Entry): Promise<void> => {
    const source = sourceOf(entry.hook);
    const request = source.build(entry.hook);
    if (!request) return finish(entry.hook);
    if (entry.attempt === 0) sendExtras(entry, source);
    const status = await sender.send(request);
    if (stopped) return; // still owed: the next start goes on with it
    if (status >= 200 && status < 300) {
      limit = Math.min(MAX_IN_FLIGHT, limit + 1);
      failing = false;
      count('delivered');
      return finish(entry.hook);
    }
    limit = Math.max(1, limit >> 1);
    count('failed');
    if (!failing) log.warn('a webhook endpoint does not take its webhooks; trying again', { status });
    failing = true;
    if (source.isFinal(status) || entry.attempt + 1 >= MAX_ATTEMPTS) {
      count('given_up');
      if (source.isFinal(status)) finish(entry.hook);
      return;
    }
    queue.push({ ...entry, attempt: entry.attempt + 1, due: Date.now() + pauseAfter(entry.attempt), copies: 1, forged: 0 });
  };

  const sendExtras = (entry: Entry, source: WebhookSource) => {
    for (let copy = 1; copy < entry.copies; copy++) {
      const request = source.build(entry.hook);
      if (!request) return;
      count('duplicated');
      launch(sender.send(request).then(() => undefined));
    }
    for (let variant = 0; variant < entry.forged; variant++) {
      const request = source.forge(entry.hook, variant);
      if (!request) return;
      count('forged');
      launch(sender.send(request).then((status) => {
        if (status >= 200 && status < 300) count('forged_accepted');
      }));
    }
  };

  return {
    mode: () => mode,
    setMode(next) {
      mode = next;
      wake();
    },
    waiting: () => store.outstanding.size,
    counts: () => ({ ...counts }),
    start() {
      stopped = false;
      for (const hook of store.outstanding) enqueue(hook);
      store.onHook(enqueue);
      wake();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      timer = undefined;
      sender.close();
      await Promise.allSettled(flying);
      writeDone();
    },
  };
}

export const pauseAfter = (attempt: number): number => Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
