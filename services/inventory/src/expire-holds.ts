// Ends holds whose time is over, by the database's clock. Needs no lease: two instances meet at the locks, and the second finds nothing to do.
import { crashPoint } from '@millrace/chassis/crash-point';
import type { Database } from '@millrace/chassis/database/db';
import { createBatcher } from '@millrace/chassis/flow/batcher';
import { createLoop, type Loop } from '@millrace/chassis/flow/loop';
import type { Log } from '@millrace/chassis/telemetry/log';
import { scopeOf, type Change } from './change.ts';
import { expire } from './reservation.ts';
import { dueHolds } from './store.ts';

/** Holds ended in one transaction: reservations wait for its locks. */
const BATCH = 200;
/** An ended hold gives its stock back about this long after its time. */
const POLL_MS = 1_000;
const CAUSE = { reason: 'the hold expired', actor: 'inventory' };

export function expireHolds(db: Database, log: Log, change: Change): Loop {
  // A batch of one lane: if it fails its holds are tried one by one, so that a bad one can't keep the others.
  const end = createBatcher({ name: 'expired holds', lanes: 1, max: BATCH, queueLimit: BATCH }, async (orderIds: string[]) => {
    const ended = await db.transaction(async (tx) =>
      change(tx, await scopeOf(tx, orderIds), (books) =>
        orderIds.map((orderId) => {
          const current = books.reservation(orderId);
          books.take(current && expire(current, books.now, CAUSE));
          return true;
        }),
      ),
    );
    crashPoint('expire.ended');
    return ended;
  });

  return createLoop({
    name: 'expire holds',
    log,
    pollMs: POLL_MS,
    async round() {
      const results = await Promise.allSettled((await dueHolds(db, BATCH)).map(end));
      const failed = results.filter((result) => result.status === 'rejected');
      if (failed[0] !== undefined) log.warn({ err: failed[0].reason as Error, holds: failed.length }, 'holds could not be ended');
      return results.length - failed.length;
    },
  });
}
