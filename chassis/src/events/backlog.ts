// What waits in the services' databases, for the broker or for a person: numbers to raise an alarm by.
import { setTimeout } from 'node:timers/promises';
import { DeadLetterState } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { sql, type Database } from '../database/db.ts';
import { sharedLook } from '../flow/shared-look.ts';
import { type Registry, gaugeOfEach } from '../telemetry/metrics.ts';

/** What is not known by then is left out of the page: whoever reads it has a limit of his own, and a database that hangs is when he needs the rest. */
const LOOK_MS = 500;
/** More than these are not counted: the alarm is the same, and counting a million rows would be one more load. */
const MAX_COUNTED = 100_000;

/** Seconds, and rows up to MAX_COUNTED. */
type Backlog = { unpublished: number; oldest: number; dead: number };

export function backlogMetrics(registry: Registry, databases: ReadonlyMap<string, Database>): void {
  // The three numbers of one page share a look, and a database that hangs gets no second one meanwhile.
  const looks = [...databases].map(([name, db]) => ({ name, look: sharedLook('backlog', 0, async () => backlogOf(db)) }));
  const each = (pick: (backlog: Backlog) => number) => async (): Promise<Map<string, number>> => {
    const all = await Promise.all(looks.map(async ({ name, look }) => ({ name, backlog: await inTime(look()) })));
    return new Map(all.flatMap(({ name, backlog }): [string, number][] => (backlog ? [[name, pick(backlog)]] : [])));
  };
  gaugeOfEach(registry, 'millrace_outbox_unpublished_events', `Events that the broker does not have yet, or is to get once more; ${MAX_COUNTED} means at least as many.`, each(({ unpublished }) => unpublished));
  gaugeOfEach(registry, 'millrace_outbox_oldest_age_seconds', 'How long the oldest of the events waits that the broker has never had.', each(({ oldest }) => oldest));
  gaugeOfEach(registry, 'millrace_dead_letters_open', `Events that could not be handled and that nobody has seen to; ${MAX_COUNTED} means at least as many.`, each(({ dead }) => dead));
}

/** By outbox_pkey and dead_letter_state_create_time_idx. */
async function backlogOf(db: Database): Promise<Backlog> {
  const [backlog] = await db.query<Backlog>(sql`
    SELECT (SELECT count(*) FROM (SELECT FROM outbox WHERE position > (SELECT position FROM outbox_mark) LIMIT ${MAX_COUNTED}) AS never)::int
        + (SELECT count(*) FROM (SELECT FROM outbox_again LIMIT ${MAX_COUNTED}) AS again)::int AS unpublished,
      coalesce((SELECT extract(epoch FROM clock_timestamp() - create_time) FROM outbox WHERE position > (SELECT position FROM outbox_mark) ORDER BY position LIMIT 1), 0)::float8 AS oldest,
      (SELECT count(*) FROM (SELECT FROM dead_letter WHERE state = ${DeadLetterState.OPEN} LIMIT ${MAX_COUNTED}) AS open)::int AS dead`);
  if (backlog === undefined) throw new Error('a SELECT without FROM answered no row');
  return backlog;
}

async function inTime(look: Promise<Backlog>): Promise<Backlog | undefined> {
  return Promise.race([look, setTimeout(LOOK_MS, undefined, { ref: false })]).catch(() => undefined);
}
