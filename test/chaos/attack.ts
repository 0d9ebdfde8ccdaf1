// Somebody who means no good, while buyers go on buying.
import type { AuditRow } from './checks/audit.ts';
import { settle } from './checks/settle.ts';
import { type Tally, tally } from './checks/tally.ts';
import { type Watch, watch } from './checks/watch.ts';
import type { Context, Experiment } from './experiment.ts';
import type { Lengths } from './form.ts';
import { changes, stateOf } from './system/state.ts';
import { pause } from './wait.ts';

export type Attack = Pick<Experiment, 'id' | 'title' | 'env' | 'stock' | 'judge' | 'tidy'> & {
  /** What it is aimed at; made before the buyers come. */
  prepare?: (context: Context) => Promise<void>;
  /** One round of it; tells every try and what became of it. */
  round: (context: Context, tries: Tally) => Promise<void>;
  /** What `round` tries, for the report: "calls that must be refused". */
  tries: string;
  /** It must leave nothing behind: a last round is made in silence, between two looks at everything there is. */
  changesNothing?: boolean;
  /** But for these tables. */
  mayChange?: readonly string[];
  /** Looked at when all has settled. */
  after?: (context: Context, tries: Tally) => Promise<void>;
};

/** A system of their own, in which no order runs out of time while a silent round listens. */
const QUIET = { ORDER_PAYMENT_WINDOW: '7d' };
const PER_SECOND = 12;
/** The first calls open connections and warm everything up. */
const WARM_UP_MS = 1_500;
const CALM_MS: Lengths = { brief: 1_000, short: 4_000, full: 15_000 };
const ATTACK_MS: Lengths = { brief: 1_000, short: 6_000, full: 60_000 };
const SETTLE_LIMIT_MS = 120_000;

export function attack({ prepare, round, tries: what, changesNothing = false, mayChange = [], after, ...rest }: Attack): Experiment {
  const found = new WeakMap<Context, { tries: Tally; watch: Watch; silent: AuditRow[] }>();
  return {
    env: QUIET,
    ...rest,
    perSecond: 0,
    async run(context) {
      const { load, skus, by } = context;
      const tries = tally('I17');
      await prepare?.(context);
      load.start({ perSecond: PER_SECOND, skus });
      await pause(WARM_UP_MS + by(CALM_MS));
      const mine = await watch(context);
      const until = Date.now() + by(ATTACK_MS);
      do await round(context, tries); while (Date.now() < until);
      await mine.over();
      await load.stop();
      const silent = changesNothing ? [await silentRound(context, mayChange, async () => round(context, tries))] : [];
      found.set(context, { tries, watch: mine, silent });
      return { count: tries.checked(), what };
    },
    async rows(context) {
      const known = found.get(context);
      if (!known) return [];
      await after?.(context, known.tries);
      return [known.tries.row(), ...known.silent, ...(await known.watch.rows())];
    },
  };
}

async function silentRound({ system }: Context, mayChange: readonly string[], round: () => Promise<void>): Promise<AuditRow> {
  await settle(system, SETTLE_LIMIT_MS);
  const before = await stateOf(system);
  await round();
  await settle(system, SETTLE_LIMIT_MS);
  const changed = changes(before, await stateOf(system)).filter((what) => !mayChange.includes(what));
  return { invariant: 'I17', checked: before.size, violations: changed.length, first: changed.map((what) => ({ what, problem: 'was changed by what must be refused' })) };
}
