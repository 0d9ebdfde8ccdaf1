// Whether what was measured was right: seen from outside, in the services' tables. A fast wrong answer is no answer.
import { Client } from 'pg';
import { type Row, audit } from '../../cli/src/audit/audit.ts';
import type { System } from './system.ts';

/** What the load was told. `unknown` calls have no answer: their orders may exist or not. */
export type Acknowledged = { orders: number; unknown: number; reservations: number; journeys: number };

/** While nothing is under way all invariants are judged, everywhere. Violations in words; empty when all is well. */
export async function auditAtRest({ runtime: { postgres, nats, sandbox } }: System): Promise<string[]> {
  const { rows: judged, away } = await audit({ postgres, nats, sandbox }, { graceMs: 0 });
  return [...away.map(({ source, error }) => `the auditor could not read ${source}: ${error}`), ...wordsFor(judged)];
}

/** The same by the databases alone: of copied orders neither the providers nor the streams have heard. */
export async function auditDatabases({ runtime: { postgres } }: System): Promise<string[]> {
  const { rows: judged, away } = await audit({ postgres }, { graceMs: 0 });
  const lost = away.filter(({ source }) => source !== 'provider' && source !== 'streams');
  return [...lost.map(({ source, error }) => `the auditor could not read ${source}: ${error}`), ...wordsFor(judged)];
}

function wordsFor(judged: Row[]): string[] {
  return judged.filter(({ violations }) => violations > 0).map(({ invariant, title, violations, first }) => `${invariant} (${title}): ${violations}, such as ${first[0]?.what}: ${first[0]?.problem}`);
}

/** While what follows from an order is held: stock, ledger, reservations and captures against what the load was told. */
export async function auditHeld({ runtime: { postgres } }: System, { orders, unknown, reservations, journeys }: Acknowledged): Promise<string[]> {
  const violations: string[] = [];
  const expect = (holds: boolean, words: string) => void (holds || violations.push(words));
  const none = async (url: string, what: string, statement: string) => {
    const wrong = await rows<Record<string, unknown>>(url, `SELECT * FROM (${statement}) AS wrong LIMIT 3`);
    expect(wrong.length === 0, `${what}: ${JSON.stringify(wrong)}`);
  };
  const count = async (url: string, statement: string) => Number((await rows<{ count: string }>(url, statement))[0]?.count ?? 0);

  const stored = await count(postgres.order, `SELECT count(*) FROM orders WHERE note LIKE 'bench-%'`);
  expect(stored >= orders && stored <= orders + unknown, `${orders} orders were acknowledged (and ${unknown} calls had no answer), ${stored} are stored`);
  const held = await count(postgres.inventory, `SELECT count(*) FROM reservation WHERE state IN ('HELD', 'COMMITTED')`);
  expect(held >= orders + reservations && held <= orders + unknown + reservations, `${orders} orders and ${reservations} reservations were acknowledged, ${held} are held or sold`);
  await none(postgres.inventory, 'levels that their ledger does not explain', `
    SELECT s.sku, s.on_hand, s.reserved, m.on_hand AS ledger_on_hand, m.reserved AS ledger_reserved FROM stock s
    LEFT JOIN (SELECT sku, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved FROM movement GROUP BY sku) m USING (sku)
    WHERE s.on_hand <> coalesce(m.on_hand, 0) OR s.reserved <> coalesce(m.reserved, 0) OR s.on_hand < s.reserved`);
  await none(postgres.inventory, 'levels that hold other than their reservations', `
    SELECT s.sku, s.reserved, r.held FROM stock s
    LEFT JOIN (SELECT line ->> 'sku' AS sku, sum((line ->> 'quantity')::int) AS held FROM reservation, jsonb_array_elements(lines) AS line WHERE state = 'HELD' GROUP BY 1) r USING (sku)
    WHERE s.reserved <> coalesce(r.held, 0)`);
  const captured = await count(postgres.payment, `SELECT count(*) FROM payment WHERE captured > 0`);
  expect(captured === journeys, `${journeys} orders were paid, ${captured} payments are captured`);
  await none(postgres.payment, 'orders captured more than once, or not whole', `SELECT order_id FROM payment WHERE captured > 0 GROUP BY order_id HAVING count(*) > 1 OR sum(captured) <> max(amount)`);
  const confirmed = await count(postgres.order, `SELECT count(*) FROM orders WHERE state = 'CONFIRMED' AND captured = total`);
  expect(confirmed === journeys, `${journeys} orders were paid, ${confirmed} are confirmed`);
  await none(postgres.notification, 'mails of paid orders sent twice', `SELECT order_id, kind FROM notification GROUP BY order_id, kind, channel HAVING count(*) > 1`);
  for (const [service, url] of Object.entries(postgres)) await none(url, `dead letters of ${service}`, `SELECT subject, cause FROM dead_letter`);
  return violations;
}

export async function rows<T>(url: string, statement: string, values: unknown[] = []): Promise<T[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query(statement, values)).rows as T[];
  } finally {
    await client.end();
  }
}
