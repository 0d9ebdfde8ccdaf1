// Many products from one stream: gathered in batches, each decided and stored in one transaction. Repeating an import is harmless.
import { refuse } from '@millrace/chassis/api/errors';
import type { Database, Tx } from '@millrace/chassis/database/db';
import { appendEvents, type OutgoingEvent } from '@millrace/chassis/events/outbox';
import { created, updated, type Opening } from './events.ts';
import { changeProduct, completeDetails, newProduct, type Details, type Product } from './product.ts';
import * as store from './store.ts';

/** Rows of one transaction: enough to make a commit cheap, few enough to keep its locks short. */
const BATCH = 200;
/** Rows of one stream; a larger catalogue comes in several. */
const MAX_ROWS = 200_000;
/** Failures that are told one by one; the rest is counted. */
const MAX_TOLD = 100;
/** Tries of a batch whose new skus somebody else created in the same moment. */
const MAX_TRIES = 3;

export type ImportRow = { sku: string; details: Partial<Details>; revision: number; opening: Opening } | { sku: string; refusal: string };
export type ImportFailure = { position: number; sku: string; message: string };
export type ImportSummary = { created: number; updated: number; unchanged: number; failed: number; failures: ImportFailure[] };
type Outcome = 'created' | 'updated' | 'unchanged' | { sku: string; message: string };

export async function importProducts(db: Database, rows: AsyncIterable<ImportRow>): Promise<ImportSummary> {
  const summary: ImportSummary = { created: 0, updated: 0, unchanged: 0, failed: 0, failures: [] };
  let position = 0;
  let batch: ImportRow[] = [];
  const flush = async () => {
    for (const outcome of await importBatch(db, batch)) {
      position += 1;
      if (typeof outcome === 'string') summary[outcome] += 1;
      else summary.failed += 1;
      if (typeof outcome !== 'string' && summary.failures.length < MAX_TOLD) summary.failures.push({ position, ...outcome });
    }
    batch = [];
  };
  for await (const row of rows) {
    if (position + batch.length >= MAX_ROWS) throw refuse('MESSAGE_TOO_LARGE', `an import takes at most ${MAX_ROWS} products; the first ${position} are stored`);
    batch.push(row);
    if (batch.length === BATCH) await flush();
  }
  if (batch.length > 0) await flush();
  return summary;
}

async function importBatch(db: Database, rows: ImportRow[]): Promise<Outcome[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction((tx) => storeBatch(tx, rows));
    } catch (error) {
      if (!(error instanceof TakenMeanwhileError) || attempt === MAX_TRIES) throw error;
    }
  }
}

async function storeBatch(tx: Tx, rows: ImportRow[]): Promise<Outcome[]> {
  // Of a refused row even the sku may be what no database takes.
  const known = await store.lock(tx, rows.flatMap((row) => ('refusal' in row ? [] : [row.sku])));
  const now = await store.clock(tx);
  const { products, events, outcomes } = decideBatch(known, rows, now);
  const fresh = products.filter(({ sku }) => !known.has(sku));
  if (fresh.length > 0 && (await store.insert(tx, fresh)).size < fresh.length) throw new TakenMeanwhileError();
  const changed = products.filter(({ sku }) => known.has(sku));
  if (changed.length > 0) await store.update(tx, changed);
  await appendEvents(tx, events);
  return outcomes;
}

/** Decides row after row, so that a sku that comes twice is created and then updated. */
export function decideBatch(known: ReadonlyMap<string, Product>, rows: ImportRow[], now: Date) {
  const changed = new Map<string, Product>();
  const events: OutgoingEvent[] = [];
  const outcomes = rows.map((row): Outcome => {
    if ('refusal' in row) return { sku: row.sku, message: row.refusal };
    try {
      const { sku, revision, opening } = row;
      const details = completeDetails(row.details);
      const current = changed.get(sku) ?? known.get(sku);
      const change = current === undefined ? undefined : changeProduct(current, details, revision, now);
      if (change?.changedFields.length === 0) return 'unchanged';
      const product = change?.product ?? newProduct(sku, details, now);
      changed.set(sku, product);
      events.push(change === undefined ? created(product, opening) : updated(change));
      return change === undefined ? 'created' : 'updated';
    } catch (error) {
      if (!(error instanceof Error && 'reason' in error)) throw error;
      return { sku: row.sku, message: error.message };
    }
  });
  return { products: [...changed.values()], events, outcomes };
}

class TakenMeanwhileError extends Error {}
