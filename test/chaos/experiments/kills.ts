// Processes die at random instants: services, the database, the broker.
import { SERVICES } from '../../../local/src/nats-permissions.ts';
import type { Context, Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { count } from '../system/databases.ts';
import { pause } from '../wait.ts';

const KILLS: Lengths = { brief: 1, short: 2, full: 8 };
const LEAST_BETWEEN_MS: Lengths = { brief: 300, short: 2_000, full: 2_000 };
const MOST_BETWEEN_MS: Lengths = { brief: 1_500, short: 5_000, full: 5_000 };
/** How many die alone before all die at once; which ones depends on the seed. */
const VICTIMS: Lengths = { brief: 1, short: 4, full: 4 };
/** Longer than a caller waits. */
const FROZEN_MS: Lengths = { brief: 6_000, short: 12_000, full: 20_000 };
/** The broker remembers event ids for two minutes; the full form stays away for longer. */
const BROKER_AWAY_MS: Lengths = { brief: 5_000, short: 30_000, full: 150_000 };

/** Calls whose outcome was not known when the process died: the kill hit work in flight. */
function unknownSince({ journal }: Context, before: number): number {
  return journal.entries().slice(before).filter(({ outcome }) => outcome === 'unknown' || outcome === undefined).length;
}

async function killAgainAndAgain(context: Context, names: readonly string[]): Promise<number> {
  const { random, by, system } = context;
  const times = by(KILLS);
  for (let i = 0; i < times; i += 1) {
    await pause(random.between(by(LEAST_BETWEEN_MS), by(MOST_BETWEEN_MS)));
    await system.kill(names);
  }
  return times;
}

export const E1: Experiment = {
  id: 'E1',
  title: 'kill -9 of the order service every few seconds',
  async run(context) {
    const before = context.journal.entries().length;
    const kills = await killAgainAndAgain(context, ['order']);
    const hit = unknownSince(context, before);
    return { count: hit, what: `calls hit by ${kills} kills` };
  },
};

export const E2: Experiment = {
  id: 'E2',
  title: 'kill -9 of each other service in turn, then all five at once',
  async run({ random, by, system, journal }) {
    const before = journal.entries().length;
    const victims = random.shuffled(SERVICES.filter((name) => name !== 'order')).slice(0, by(VICTIMS));
    for (const victim of victims) {
      await pause(random.between(500, 1_500));
      await system.kill([victim]);
    }
    await pause(random.between(500, 1_500));
    await system.kill(SERVICES);
    const hit = journal.entries().slice(before).filter(({ outcome }) => outcome !== 'ok' && outcome !== 'fail').length;
    return { count: hit, what: `calls hit by ${victims.length} kills and one of all` };
  },
};

export const E4: Experiment = {
  id: 'E4',
  title: 'kill -9 of Postgres, connections cut in mid-COMMIT',
  async run(context) {
    const { system, random, journal } = context;
    const before = journal.entries().length;
    await pause(random.between(200, 1_000));
    // All connections break while statements are under way, and then the server itself goes.
    system.proxies.postgres.set({ kind: 'reset' });
    const cut = system.proxies.postgres.hits();
    system.proxies.postgres.set({ kind: 'none' });
    await pause(random.between(1_000, 2_000));
    await killAgainAndAgain(context, ['postgres']);
    const hit = journal.entries().slice(before).filter(({ outcome }) => outcome !== 'ok' && outcome !== 'fail').length;
    return { count: Math.min(cut, hit), what: `calls of unknown outcome, ${cut} connections cut` };
  },
};

export const E5: Experiment = {
  id: 'E5',
  title: 'Postgres stopped (SIGSTOP), then going on',
  async run({ system, by, journal }) {
    const before = journal.entries().length;
    await system.freeze('postgres', by(FROZEN_MS));
    const late = journal.entries().slice(before).filter(({ outcome }) => outcome !== 'ok' && outcome !== 'fail').length;
    return { count: late, what: 'calls that ran into their deadline' };
  },
};

export const E6: Experiment = {
  id: 'E6',
  title: 'kill -9 of nats-server under publish load',
  async run(context) {
    const events = async (): Promise<number> => count(context.system, 'order', 'outbox');
    const before = await events();
    const kills = await killAgainAndAgain(context, ['nats']);
    return { count: (await events()) - before, what: `order events said around ${kills} kills` };
  },
};

export const E7: Experiment = {
  id: 'E7',
  title: 'nats-server away, in the full form for longer than its dedupe window',
  async run({ system, by, journal }) {
    const since = Date.now();
    await system.killWhile(['nats'], async () => pause(by(BROKER_AWAY_MS)));
    const taken = journal.entries().filter(({ outcome, answered_at = '' }) => outcome === 'ok' && Date.parse(answered_at) > since).length;
    return { count: taken, what: 'orders and cancellations taken meanwhile' };
  },
  async check({ journal }) {
    const lost = journal.entries().filter(({ request, outcome, resolved }) => request.do === 'place' && (outcome !== 'ok' || resolved));
    return lost.map(({ request_id, error }) => ({ invariant: 'I16', what: request_id, problem: `not taken while the broker was away: ${error}` }));
  },
};
