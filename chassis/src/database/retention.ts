// Deletes what nobody needs any more, in small steps that lock nothing for long.

import { createLoop, type Loop } from '../flow/loop.ts';
import type { Log } from '../telemetry/log.ts';
import { sql, type Database, type Statement } from './db.ts';

const POLL_MS = 10 * 60_000;
/** Rows per statement: a delete of this size takes milliseconds. */
const STEP = 5_000;

/** Published events stay so long that a lost stream can be put back from them. */
const OUTBOX_DAYS = 7;
/** Longer than the streams keep messages (30 days), or an old message would have its effect again. */
const INBOX_DAYS = 35;
/** A caller that repeats a request after this long is not retrying. */
const REQUEST_DAYS = 30;

export function createRetention(db: Database, log: Log): Loop {
  // BRIN indexes on the times: rows lie in the order of time, so the oldest blocks are found without reading the rest.
  const steps: Statement[] = [
    sql`DELETE FROM outbox WHERE ctid = ANY(ARRAY(SELECT ctid FROM outbox
      WHERE create_time < now() - make_interval(days => ${OUTBOX_DAYS}) AND position <= (SELECT position FROM outbox_mark)
        AND NOT EXISTS (SELECT FROM outbox_again WHERE outbox_again.position = outbox.position) LIMIT ${STEP})) RETURNING 1`,
    sql`DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbox
      WHERE handle_time < now() - make_interval(days => ${INBOX_DAYS}) LIMIT ${STEP})) RETURNING 1`,
    sql`DELETE FROM request_memory WHERE ctid = ANY(ARRAY(SELECT ctid FROM request_memory
      WHERE create_time < now() - make_interval(days => ${REQUEST_DAYS}) LIMIT ${STEP})) RETURNING 1`,
  ];
  return createLoop({
    name: 'retention',
    log,
    pollMs: POLL_MS,
    async round() {
      let deleted = 0;
      for (const step of steps) deleted += (await db.query(step)).length;
      return deleted;
    },
  });
}
