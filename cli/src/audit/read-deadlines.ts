// Reads what should have moved by now: I7.
import type { Service, Tally } from './report.ts';
import type { World } from './window.ts';

/** Waits of people: whoever ships, decides or answers a bank does it when he does it. The console lists them. */
const FOR_PEOPLE = `(payment_state = 'DISPUTED' OR (state = 'CONFIRMED' AND payment_state NOT IN ('REFUND_PENDING', 'PROCESSING', 'ACTION_REQUIRED') AND (payment_state = 'REFUNDED' OR stock_committed)))`;

/** Per service: everything that has a deadline, and what is past it; each of the second reads (what, since when, in which state). */
const DEADLINES: Partial<Record<Service, { all: string; late: string }>> = {
  order: {
    all: 'SELECT count(*) FROM orders WHERE due_time IS NOT NULL',
    late: `SELECT 'order ' || order_id, due_time, state || ', ' || payment_state FROM orders WHERE due_time < now() - $1::float8 * interval '1 ms' AND NOT ${FOR_PEOPLE}`,
  },
  payment: {
    all: 'SELECT count(*) FROM payment WHERE next_attempt_time IS NOT NULL',
    late: `SELECT 'payment of ' || order_id, next_attempt_time, state FROM payment
      WHERE next_attempt_time < now() - $1::float8 * interval '1 ms' AND (lease_until IS NULL OR lease_until < now())`,
  },
  inventory: {
    all: `SELECT count(*) FROM reservation WHERE state = 'HELD'`,
    late: `SELECT 'hold of ' || order_id, hold_until, state FROM reservation WHERE state = 'HELD' AND hold_until < now() - $1::float8 * interval '1 ms'`,
  },
  notification: {
    all: `SELECT count(*) FROM notification WHERE state = 'pending'`,
    late: `SELECT 'message ' || notification_id, due_time, kind || ' by ' || channel FROM notification WHERE state = 'pending' AND due_time < now() - $1::float8 * interval '1 ms'`,
  },
};
/** Rows of each kind, so that "nothing is late" of an idle system is not "nothing was looked at". */
const POPULATION: Partial<Record<Service, string>> = { order: 'orders', payment: 'payment', inventory: 'reservation', notification: 'notification' };

export async function checkDeadlines({ window, databases, have }: World, tally: Tally): Promise<void> {
  const perService = Object.entries(DEADLINES) as [Service, { all: string; late: string }][];
  let open = 0;
  await Promise.all(perService.filter(([service]) => have.has(service)).map(async ([service, { all, late }]) => {
    const [counted] = await databases[service].few(`SELECT (SELECT count(*) FROM ${POPULATION[service]}), (${all})`);
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
