// Cancels orders that were not paid in time, by the database's clock.
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Database } from '@millrace/chassis/database/db';
import { createLoop, type Loop } from '@millrace/chassis/flow/loop';
import type { Log } from '@millrace/chassis/telemetry/log';
import { moved } from './announce.ts';
import { cancel } from './order.ts';
import type { Recorder } from './record.ts';
import { lockUnpaid } from './store.ts';

/** Orders cancelled in one transaction. */
const BATCH = 200;
/** A deadline is met to the second; the statement finds nothing in microseconds. */
const POLL_MS = 1_000;

export function expireOrders(db: Database, record: Recorder, log: Log): Loop {
  const round = () =>
    db.transaction(async (tx) => {
      const { orders, now } = await lockUnpaid(tx, BATCH);
      if (orders.size === 0) return 0;
      const expired = [...orders.values()].map((before) => ({ before, after: cancel(before, 'EXPIRED', 'not paid in time', now) }));
      await record(tx, { orders: expired.map(({ after }) => after), entries: expired.flatMap(({ before, after }) => moved(before, after, 'order')) });
      crashPoint('expire.recorded');
      return expired.length;
    });
  return createLoop({ name: 'expire orders', log, pollMs: POLL_MS, round });
}
