// Reads what should have moved by now: I7.
import type { Service, Tally } from './report.ts';
import type { World } from './window.ts';

/** Waits of people: whoever ships, decides or answers a bank does it when he does it. The console lists them. */
const FOR_PEOPLE = `(payment_state = 'DISPUTED' OR (state = 'CONFIRMED' AND payment_state NOT IN ('REFUND_PENDING', 'PROCESSING', 'ACTION_REQUIRED') AND (payment_state = 'REFUNDED' OR stock_committed)))`;

type Deadlines = {
  table: string;
  /** Of a row: whether it has a deadline. */
  waits: string;
  /** Reads (what, since when, in which state) of those that are past it. */
  late: string;
};
const DEADLINES: Partial<Record<Service, Deadlines>> = {
  order: {
    table: 'orders', waits: 'next_due_time IS NOT NULL',
    late: `SELECT 'order ' || order_id, next_due_time, state || ', ' || payment_state FROM orders WHERE next_due_time < now() - $1::float8 * interval '1 ms' AND NOT ${FOR_PEOPLE}`,
  },
  payment: {
    table: 'payment', waits: 'next_attempt_time IS NOT NULL',
    late: `SELECT 'payment of ' || order_id, next_attempt_time, state FROM payment
      WHERE next_attempt_time < now() - $1::float8 * interval '1 ms' AND (lease_until IS NULL OR lease_until < now())`,
  },
  inventory: {
    table: 'reservation', waits: `state = 'HELD'`,
    late: `SELECT 'hold of ' || order_id, hold_until, state FROM reservation WHERE state = 'HELD' AND hold_until < now() - $1::float8 * interval '1 ms'`,
  },
  notification: {
    table: 'notification', waits: `state = 'pending'`,
    // One that has no place in the queue would never be sent.
    late: `SELECT 'message ' || notification_id, coalesce(due_time, create_time), kind || ' by ' || n.channel FROM notification n LEFT JOIN send_queue USING (notification_id)
      WHERE state = 'pending' AND coalesce(due_time, create_time) < now() - $1::float8 * interval '1 ms'`,
  },
};

export async function checkDeadlines({ window, databases, have }: World, tally: Tally): Promise<void> {
  const perService = Object.entries(DEADLINES) as [Service, Deadlines][];
  let open = 0;
  await Promise.all(perService.filter(([service]) => have.has(service)).map(async ([service, { table, waits, late }]) => {
    // Those without a deadline too: that nothing is late of an idle system is not that nothing was looked at.
    const [counted] = await databases[service].few(`SELECT count(*), count(*) FILTER (WHERE ${waits}) FROM ${table}`);
    tally.checked('I7', Number(counted?.[0] ?? 0));
    open += Number(counted?.[1] ?? 0);
    for await (const batch of databases[service].rows(`${late} ORDER BY 2`, [window.toleranceMs])) {
      for (const [what, due, state] of batch) {
        tally.violated({ invariant: 'I7', what: what ?? '', problem: `due since ${due}, still ${state}` });
        // A hold that nothing ends keeps its stock from everybody.
        if (service === 'inventory') tally.violated({ invariant: 'I1', what: what ?? '', problem: `should have ended at ${due}` });
      }
    }
  }));
  tally.note('I7', `${open} are waiting within their time`);
}
