// Quiescence: nothing waits to be said, heard, paid, refunded or mailed. Says what is still moving when it does not come.
import { type Service, SERVICES } from '../../../local/src/nats-permissions.ts';
import { metricAt } from '../../support/metrics.ts';
import { consumers, query } from '../system/databases.ts';
import type { System } from '../system/system.ts';
import { pause } from '../wait.ts';

const POLL_MS = 300;
/** What falls due sooner would move in the middle of an audit: an unpaid order whose time is short ends, a message is sent. Later it is a reminder, not work in hand. */
const SOON = "now() + interval '90 seconds'";

/** What may be moving in a service's database: rows with the id that tells most. */
const MOVING: Record<Service, Record<string, string>> = {
  order: {
    'unpaid orders': `SELECT order_id AS id FROM orders WHERE state = 'PENDING_PAYMENT' AND (payment_state NOT IN ('FAILED', 'ACTION_REQUIRED') AND payment_method <> '' OR next_due_time < ${SOON})`,
    'open refunds': "SELECT order_id AS id FROM orders WHERE refund_pending > 0 OR payment_state = 'REFUND_PENDING'",
    'orders confirmed without a sale': "SELECT order_id AS id FROM orders WHERE state = 'CONFIRMED' AND NOT stock_committed",
  },
  product: {},
  inventory: { 'holds near their end': `SELECT order_id AS id FROM reservation WHERE state = 'HELD' AND hold_until < ${SOON}` },
  payment: { 'payments under way': "SELECT order_id AS id FROM payment WHERE asking AND next_attempt_time IS NOT NULL AND state NOT IN ('FAILED', 'REQUIRES_ACTION') OR refund_pending > 0" },
  notification: { 'unsent messages': `SELECT notification_id AS id FROM send_queue WHERE due_time < ${SOON}` },
};
const UNSENT = { 'unsent events': 'SELECT event_id AS id FROM outbox_unpublished' };

/** Waits until nothing moves, twice in a row. Answers how long that took. */
export async function settle(system: System, limitMs: number): Promise<number> {
  const began = performance.now();
  let calm = 0;
  for (;;) {
    const moving = await movingThings(system).catch((error: unknown) => [`cannot look: ${String(error)}`]);
    calm = moving.length === 0 ? calm + 1 : 0;
    if (calm === 2) return performance.now() - began;
    if (performance.now() - began > limitMs) throw new UnsettledError(moving);
    await pause(POLL_MS);
  }
}

export class UnsettledError extends Error {
  override readonly name = 'UnsettledError';
  readonly moving: string[];
  constructor(moving: string[]) {
    super(`still moving: ${moving.join('; ')}`);
    this.moving = moving;
  }
}

async function movingThings(system: System): Promise<string[]> {
  const found = await Promise.all([
    ...SERVICES.map(async (service) => movingRows(system, service)),
    consumers(system).then((all) => all.filter(({ waiting }) => waiting > 0).map(({ stream, service, waiting }) => `${waiting} of ${stream} unheard by ${service}`)),
    system.control('webhooks').then(({ waiting }) => (Number(waiting) > 0 ? [`${String(waiting)} webhooks`] : [])),
    requestsAtProviders(system).then((n) => (n > 0 ? [`${n} requests at the providers`] : [])),
  ]);
  return found.flat();
}

/** A slow provider still carries out what its caller has long given up. */
async function requestsAtProviders({ runtime: { sandbox } }: System): Promise<number> {
  const underWay = await metricAt(sandbox, 'sandbox_requests_under_way');
  if (underWay === undefined) throw new Error('the sandbox does not say what is under way');
  return underWay;
}

// One statement a service: many systems are looked at side by side.
async function movingRows(system: System, service: Service): Promise<string[]> {
  const looks = Object.entries({ ...UNSENT, ...MOVING[service] }).map(([what, rows]) => `SELECT '${what}' AS what, count(*)::int AS n, min(id::text) AS example FROM (${rows}) rows`);
  const found = await query<{ what: string; n: number; example: string }>(system, service, looks.join(' UNION ALL '));
  return found.filter(({ n }) => n > 0).map(({ what, n, example }) => `${n} ${what} in ${service}, e.g. ${example}`);
}
