// Reads levels, ledger and holds of every sku, and the units in orders beside them.
import type { Row } from './database.ts';
import { keyed, mergeByKey } from './merge.ts';
import type { Tally } from './report.ts';
import { judgeSku } from './stock.ts';
import { type World, windowValues, young } from './window.ts';

// One statement, so that all three are of one moment: nothing is ever on its way between them.
const LEVELS = `
  SELECT sku, s.on_hand, s.reserved, m.on_hand, m.reserved, m.received, m.sold, coalesce(h.held, 0)
  FROM stock s
  FULL JOIN (
    SELECT sku, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved, coalesce(sum(on_hand_delta) FILTER (WHERE kind IN ('OPENED', 'ADJUSTED')), 0) AS received,
      coalesce(-sum(on_hand_delta) FILTER (WHERE kind IN ('COMMITTED', 'RESTOCKED')), 0) AS sold
    FROM movement GROUP BY sku) m USING (sku)
  FULL JOIN (
    SELECT line->>'sku' COLLATE "C" AS sku, sum((line->>'quantity')::bigint) AS held
    FROM reservation, jsonb_array_elements(lines) line WHERE state = 'HELD' GROUP BY 1) h USING (sku)
  ORDER BY sku`;
// Units that were refunded may have been put back and sold again. An order without its stock yet may have to be cancelled for want of it.
const ORDERED = `
  SELECT sku, sum(quantity) FROM (
    SELECT line->>'sku' COLLATE "C" AS sku, (line->>'quantity')::bigint AS quantity FROM orders, jsonb_array_elements(lines) line
    WHERE state IN ('CONFIRMED', 'FULFILLED') AND stock_committed AND NOT ${young('update_time')} AND $2::timestamptz IS NOT NULL
    UNION ALL
    SELECT line->>'sku', -(line->>'quantity')::bigint FROM orders, jsonb_array_elements(refunds) refund, jsonb_array_elements(refund->'lines') line
    WHERE state IN ('CONFIRMED', 'FULFILLED') AND refunds <> '[]'
  ) units GROUP BY sku ORDER BY sku`;

/** Levels are sums of everything, so a beginning makes no difference here. */
export async function checkStock({ window, databases, have }: World, tally: Tally): Promise<void> {
  if (!have.has('inventory')) return;
  const none = async function* (): AsyncGenerator<never> {};
  await mergeByKey(
    {
      ordered: have.has('order') ? keyed(databases.order.rows(ORDERED, windowValues(window)), (row) => Number(row[1])) : none(),
      levels: keyed(databases.inventory.rows(LEVELS), readLevel),
    },
    (sku, { levels, ordered }) => {
      tally.checked('I1');
      tally.checked('I2');
      const found = levels[0] ?? { level: undefined, ledger: undefined, held: 0 };
      for (const violation of judgeSku({ sku, ...found, ordered: ordered[0] ?? 0 })) tally.violated(violation);
    },
  );
}

function readLevel(row: Row) {
  const [onHand, reserved, ledgerOnHand, ledgerReserved, received, sold, held] = row.slice(1).map(Number) as [number, number, number, number, number, number, number];
  return {
    level: row[1] === null ? undefined : { onHand, reserved },
    ledger: row[3] === null ? undefined : { onHand: ledgerOnHand, reserved: ledgerReserved, received, sold },
    held,
  };
}
