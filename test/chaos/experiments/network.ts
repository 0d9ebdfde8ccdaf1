// Connections that carry nothing, locks that are not let go, and restarts that nobody should notice.
import { Client } from 'pg';
import { SERVICES } from '../../../local/src/nats-permissions.ts';
import type { Broken, Context, Experiment, Proof } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { pause, until } from '../wait.ts';

const BLACKHOLE_MS: Lengths = { brief: 8_000, short: 10_000, full: 60_000 };
const LOCKED_MS: Lengths = { brief: 6_000, short: 8_000, full: 30_000 };
/** Of the six processes; which ones depends on the seed. */
const RESTARTED: Lengths = { brief: 2, short: 6, full: 6 };
/** Two whole calls, and the wait between them. */
const SERVED_LIMIT_MS = 15_000;
/** Of that time nothing passes at all, and then only requests do: longer than a caller waits. */
const BOTH_WAYS = 0.3;
/** A call that takes longer was held up. */
const HELD_UP_MS = 1_000;
const FLAPS = 5;
const FLAP_MS = 600;

type Direction = 'both' | 'to' | 'from';
/** A way that can be interrupted; `lost` counts what did not pass. */
type Way = { interrupt(direction: Direction): void; mend(): void; lost(): number };

export const E30: Experiment = {
  id: 'E30',
  title: 'nothing passes between order and inventory: both ways, one way, flapping',
  async run(context) {
    const link = context.system.proxies.inventory;
    return interrupted(context, { interrupt: (direction) => link.set({ kind: 'blackhole', direction }), mend: () => link.set({ kind: 'none' }), lost: () => link.hits() });
  },
};

export const E31: Experiment = {
  id: 'E31',
  title: 'the cable between order and inventory is pulled, then loses all answers, then flaps: packets are lost in a network namespace',
  cable: true,
  async run(context) {
    const { cable } = context.system;
    if (cable === undefined) throw new Error('there is no cable');
    // Without its answers no request arrives for long either: there is no way of losing one direction alone.
    return interrupted(context, { interrupt: (direction) => cable.set(direction === 'from' ? 'deaf' : 'cut'), mend: () => cable.set('whole'), lost: () => cable.lost() });
  },
};

async function interrupted({ by, random, journal }: Context, way: Way): Promise<Proof> {
  const before = { lost: way.lost(), entries: journal.entries().length };
  const length = by(BLACKHOLE_MS);
  way.interrupt('both');
  await pause(length * BOTH_WAYS);
  way.mend();
  await pause(1_000);
  // The hold is made and its answer never seen: the worst case for orphans.
  way.interrupt('from');
  await pause(length * (1 - BOTH_WAYS));
  for (let i = 0; i < FLAPS; i += 1) {
    way.mend();
    await pause(random.between(FLAP_MS / 2, FLAP_MS));
    way.interrupt(random.pick(['both', 'to', 'from']));
    await pause(random.between(FLAP_MS / 2, FLAP_MS));
  }
  const late = journal.entries().slice(before.entries).filter(({ outcome, sent_at, answered_at = '' }) => outcome === 'unknown' || Date.parse(answered_at) - Date.parse(sent_at) > HELD_UP_MS).length;
  return { count: Math.min(late, way.lost() - before.lost), what: 'calls held up or of unknown outcome' };
}

export const E32: Experiment = {
  id: 'E32',
  title: 'SIGTERM of every process in turn under load, buyers repeat once',
  mix: { repeats: 1, waitsForReady: true },
  async run(context) {
    const { system, by, random, say, journal } = context;
    const names = random.shuffled([...SERVICES, 'edge']).slice(0, by(RESTARTED));
    const before = journal.entries().length;
    let longest = 0;
    for (const name of names) {
      longest = Math.max(longest, await system.terminate(name));
      await allServed(context);
    }
    const repeated = journal.entries().slice(before).filter(({ repeats = 0 }) => repeats > 0).length;
    say(`the longest stop took ${longest.toFixed(0)} ms; ${repeated} calls had to be repeated`);
    return { count: names.length, what: 'processes stopped and started' };
  },
  async check({ journal }) {
    const failed = journal.entries().filter(({ outcome, resolved }) => outcome === 'unknown' || resolved);
    return failed.map(({ request_id, error }) => ({ invariant: 'I16', what: request_id, problem: `not answered after one repeat: ${error ?? 'only later'}` }));
  },
};

/** A rollout goes on when whoever met the last restart has been answered: one repeat is for one restart. Those who never are show up in the check. */
async function allServed({ journal }: Context): Promise<void> {
  const met = [...journal.entries()];
  await until('those who met the restart are served', SERVED_LIMIT_MS, () => met.every(({ outcome }) => outcome === 'ok' || outcome === 'fail')).catch(() => {});
}

export const E35: Experiment = {
  id: 'E35',
  title: "the orders table locked, and the database's time used up",
  async run({ system, by, journal }) {
    const before = journal.entries().length;
    const locker = new Client({ connectionString: system.runtime.postgres.order });
    await locker.connect();
    try {
      await locker.query('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
      await pause(by(LOCKED_MS));
      await locker.query('ROLLBACK');
    } finally {
      await locker.end();
    }
    const shed = journal.entries().slice(before).filter(({ outcome }) => outcome === 'unknown').length;
    return { count: shed, what: 'calls shed or past their deadline' };
  },
  async check({ system }): Promise<Broken[]> {
    // Nothing may be left waiting for the lock once it is gone.
    const client = new Client({ connectionString: system.runtime.postgres.order });
    await client.connect();
    try {
      const { rows } = await client.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = 'order' AND wait_event_type = 'Lock'");
      const waiting = rows[0]?.n ?? 0;
      return waiting === 0 ? [] : [{ invariant: 'I16', what: 'order database', problem: `${waiting} sessions still wait for a lock` }];
    } finally {
      await client.end();
    }
  },
};
