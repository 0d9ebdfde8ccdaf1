// Reads the steps that orders, payments and stock took, grouped by alike: a million orders have a few dozen different paths. I12 as heard, I13, I14.
import { judgeLetter } from './events.ts';
import { orderPath, paymentPath, stockPath } from './orders.ts';
import { type Invariant, SERVICES, type Service, type Tally } from './report.ts';
import { type World, windowValues } from './window.ts';

/** Outboxes keep their rows seven days: of what began before, the first events may be gone. */
const OUTBOX_DAYS = `greatest($1::timestamptz, now() - interval '7 days' + interval '1 hour')`;

// Each group: the path, what it ends in, whether it is whole, how many are alike, one of them.
const ORDERS = `
  SELECT path, state, whole, count(*), min(order_id) FROM (
    SELECT o.order_id, o.state, true AS whole, string_agg(t.detail->>'state', ' ' ORDER BY (t.detail->>'version')::int, t.position) AS path
    FROM orders o LEFT JOIN timeline t ON t.order_id = o.order_id AND t.source = 'order'
    WHERE o.create_time >= $1::timestamptz GROUP BY o.order_id) paths
  GROUP BY path, state, whole`;
const PAYMENTS = `
  SELECT path, state, whole, count(*), min(order_id) FROM (
    SELECT p.order_id, p.state, p.create_time >= ${OUTBOX_DAYS} AS whole, string_agg(split_part(e.subject, '.', 2), ' ' ORDER BY e.position) AS path
    FROM payment p LEFT JOIN outbox e ON e.aggregate_id = p.order_id WHERE p.create_time >= $1::timestamptz GROUP BY p.payment_id) paths
  GROUP BY path, state, whole`;
const STOCK = `
  SELECT path, coalesce(state, ''), held, sold, count(*), min(order_id) FROM (
    SELECT m.order_id, m.sku, r.state, m.path, sign(m.held) AS held, sign(m.sold) AS sold FROM (
      SELECT order_id, sku, sum(reserved_delta) AS held, -sum(on_hand_delta) AS sold, string_agg(kind, ' ' ORDER BY movement_id) AS path
      FROM movement WHERE order_id <> '' GROUP BY order_id, sku) m
    LEFT JOIN reservation r USING (order_id) WHERE coalesce(r.create_time, 'infinity') >= $1::timestamptz) paths
  GROUP BY path, state, held, sold`;

const groups = async (world: World, service: Service, sql: string, each: (row: string[]) => void): Promise<void> => {
  if (!world.have.has(service)) return;
  for await (const batch of world.databases[service].rows(sql, [windowValues(world.window)[1]])) batch.forEach((row) => each(row as string[]));
};

export async function checkPaths(world: World, tally: Tally): Promise<void> {
  const count = (invariant: Invariant, what: string, times: number, problem: string | undefined) => {
    tally.checked(invariant, times);
    if (problem) tally.violated({ invariant, what, problem, times });
  };
  const steps = (path: string | null) => (path ? path.split(' ') : []);
  await groups(world, 'order', ORDERS, ([path = '', state = '', , times, orderId]) => count('I13', `order ${orderId}`, Number(times), orderPath(steps(path), state, true)));
  await groups(world, 'payment', PAYMENTS, ([path = '', state = '', whole, times, orderId]) => count('I13', `payment of ${orderId}`, Number(times), paymentPath(steps(path), state, whole === 't')));
  await groups(world, 'inventory', STOCK, ([path = '', state = '', held, sold, times, orderId]) =>
    count('I13', `stock of ${orderId}`, Number(times), stockPath(steps(path), { held: Number(held), sold: Number(sold) }, state)));
}

// An order has applied every version of its payment that was said, one after the other: its timeline tells.
const HEARD = `
  SELECT o.order_id, o.payment_version, count(DISTINCT (t.detail->>'payment_version')::int), max((t.detail->>'payment_version')::int)
  FROM orders o JOIN timeline t ON t.order_id = o.order_id AND t.source = 'payment'
  WHERE o.create_time >= $1::timestamptz AND o.update_time < now() - $2::float8 * interval '1 ms'
  GROUP BY o.order_id HAVING max((t.detail->>'payment_version')::int) <> o.payment_version OR count(DISTINCT (t.detail->>'payment_version')::int) <> o.payment_version - 1`;

export async function checkHeardVersions({ window, databases, have }: World, tally: Tally): Promise<void> {
  if (!have.has('order')) return;
  for await (const batch of databases.order.rows(HEARD, [windowValues(window)[1], window.graceMs])) {
    for (const [orderId, version, heard, last] of batch) {
      tally.violated({ invariant: 'I12', what: `order ${orderId}`, problem: `it stands at version ${version} of its payment; its timeline has ${heard} of them, the last one ${last}` });
    }
  }
}

// Inboxes keep ids for 35 days: what was dealt with longer ago can't be told any more.
const LETTERS = `
  SELECT d.dead_letter_id, d.state, i.event_id IS NOT NULL, d.event_id, d.headers <> '{}', d.resolved_by, d.note, d.event_type
  FROM dead_letter d LEFT JOIN inbox i ON i.event_id::text = lower(d.event_id)
  WHERE d.create_time >= $1::timestamptz AND (d.resolve_time IS NULL OR d.resolve_time > now() - interval '34 days')`;
const STATES = { 1: 'open', 2: 'replayed', 3: 'discarded' } as const;

export async function checkLetters(world: World, tally: Tally): Promise<void> {
  for (const service of SERVICES) {
    let open = 0;
    await groups(world, service, LETTERS, ([id = '', number, handled, eventId = '', headers, resolvedBy = '', note = '', type]) => {
      tally.checked('I14');
      const state = STATES[Number(number) as 1 | 2 | 3];
      if (state === 'open') open += 1;
      const problem = judgeLetter({ id, state, handled: handled === 't', eventId, headers: headers === 't', resolvedBy, note });
      if (problem) tally.violated({ invariant: 'I14', what: `dead letter ${id} of ${service}${type ? ` (${type})` : ''}`, problem });
    });
    if (open > 0) tally.note('I14', `${service} has ${open} open ${open === 1 ? 'letter' : 'letters'}: a person has to look`);
  }
}
