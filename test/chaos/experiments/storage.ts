// The broker's disk: power that fails before everything is written, and no space left.
import type { Context, Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { SAID, count } from '../system/databases.ts';
import type { Disk } from '../system/disk.ts';
import { pause, until } from '../wait.ts';

const CUTS: Lengths = { brief: 1, short: 2, full: 5 };
const BETWEEN_CUTS_MS: Lengths = { brief: 1_500, short: 3_000, full: 6_000 };
const FULL_MS: Lengths = { brief: 4_000, short: 10_000, full: 60_000 };
/** The launcher looks every five seconds and waits for four failures before it restarts the broker. */
const HEALED_LIMIT_MS = 90_000;

function diskOf({ system }: Context): Disk {
  if (system.disk === undefined) throw new Error('the system has no disk of its own');
  return system.disk;
}

export const E8: Experiment = {
  id: 'E8',
  title: "the broker's machine loses its power: what was not fsynced is gone",
  disk: 'lossy',
  async run(context) {
    const { system, by, random, say } = context;
    const disk = diskOf(context);
    const lost: string[] = [];
    for (let i = 0; i < by(CUTS); i += 1) {
      await pause(random.between(by(BETWEEN_CUTS_MS) / 2, by(BETWEEN_CUTS_MS)));
      process.kill(system.pid('nats'), 'SIGSTOP');
      disk.snapshot();
      const said = await count(system, 'order', SAID);
      await system.killWhile(['nats'], async () => {
        lost.push(...(await disk.restore()));
      });
      say(`the power failed after ${said} acknowledged events of order; lost writes of ${lost.join(', ')}`);
    }
    return { count: lost.length, what: 'files lost their last writes, a canary at each cut' };
  },
};

export const E10: Experiment = {
  id: 'E10',
  title: "the broker's disk is full, then has space again",
  disk: 'small',
  async run(context) {
    const { system, by, journal, say } = context;
    const disk = diskOf(context);
    const broker = system.pid('nats');
    const since = Date.now();
    disk.fill();
    await pause(by(FULL_MS));
    const waiting = await unsent(context);
    const taken = journal.entries().filter(({ request, outcome, answered_at = '' }) => request.do === 'place' && outcome === 'ok' && Date.parse(answered_at) > since).length;
    disk.free();
    const freed = new Date();
    // Every event that was refused must come through without anybody's help: the launcher restarts a broker that stays unhealthy.
    await until('the events of the time without space are said', HEALED_LIMIT_MS, async () => (await count(system, 'order', 'outbox_unpublished WHERE create_time < $1', [freed])) === 0);
    say(`${taken} orders taken without space; said ${((Date.now() - freed.getTime()) / 1_000).toFixed(1)} s after there was some again${system.pid('nats') === broker ? '' : ', by a restarted broker'}`);
    return { count: Math.min(waiting, taken), what: 'events of order kept back while there was no space' };
  },
  async check({ journal }) {
    const lost = journal.entries().filter(({ request, outcome, resolved }) => request.do === 'place' && (outcome !== 'ok' || resolved));
    return lost.map(({ request_id, error }) => ({ invariant: 'I16', what: request_id, problem: `not taken while the broker had no space: ${error}` }));
  },
};

async function unsent({ system }: Context): Promise<number> {
  return count(system, 'order', 'outbox_unpublished');
}
