// The audit: every family of checks over whatever sources can be read, and one report.
import { type Database, SourceAwayError, openDatabase } from './database.ts';
import type { ProviderAddress } from './provider.ts';
import { checkDeadlines } from './read-deadlines.ts';
import { checkEvents } from './read-events.ts';
import { checkLetters } from './read-letters.ts';
import { checkMessages } from './read-messages.ts';
import { checkOrders } from './read-orders.ts';
import { checkPaths } from './read-paths.ts';
import { checkRequests } from './read-requests.ts';
import { checkStock } from './read-stock.ts';
import { type Report, SERVICES, type Service, type Source, type Tally, createTally, rowsOf } from './report.ts';
import { type World, createWindow } from './window.ts';

export type { Report, Row, Source, Violation } from './report.ts';

/** Where everything is. What is missing counts as away; without a sandbox, mails and text messages are not compared. */
export type Sources = {
  postgres: Partial<Record<Service, string>>;
  /** Reads the streams; an inspector's rights are enough. */
  nats?: string | undefined;
  sandbox?: string | undefined;
  /** The real provider, instead of the sandbox's records. */
  stripe?: { secretKey: string; apiBase?: string | undefined } | undefined;
  /** Path of a load generator's JSON lines {request_id, sent_at, outcome: ok|fail|unknown, order_id?}. */
  journal?: string | undefined;
};

export type AuditOptions = {
  /** Leaves out orders and events before it; levels of stock are sums of everything and are always checked whole. */
  since?: Date | undefined;
  /** What changed within it may still be on its way and is not judged. 0: nothing moves any more, judge everything. */
  graceMs?: number | undefined;
  /** How long after its deadline something may still be waiting. */
  toleranceMs?: number | undefined;
};

/** Events reach everybody in well under a second; this leaves room for a broker that was away for a moment. */
const GRACE_MS = 30_000;
/** Runners come round within seconds. */
const TOLERANCE_MS = 60_000;

type Family = (world: World, tally: Tally) => Promise<void>;
/** The long ones first, so that no lane ends much later than the others. */
const FAMILIES: readonly Family[] = [checkEvents, checkOrders, checkPaths, checkMessages, checkStock, checkRequests, checkDeadlines, checkLetters];
/** Families at a time: enough to keep two cores busy with sorting here and there. */
const LANES = 3;

/** Never throws because of a source: what is away is said in the report, and the rest is checked. */
export async function audit(sources: Sources, { since, graceMs = GRACE_MS, toleranceMs = TOLERANCE_MS }: AuditOptions = {}): Promise<Report> {
  const window = createWindow({ since, graceMs, toleranceMs });
  const { start } = window;
  const away = new Map<Source, string>();
  const have = new Set<Source>([...SERVICES, 'provider', 'mails', 'texts', 'streams', 'journal']);
  const lose = (source: Source, error: string) => {
    have.delete(source);
    away.set(source, error);
  };
  const provider: ProviderAddress | undefined = sources.stripe ? { stripe: sources.stripe } : sources.sandbox ? { sandbox: sources.sandbox } : undefined;
  if (!provider) lose('provider', 'no address is known');
  if (!sources.nats) lose('streams', 'no address is known');
  const databases = Object.fromEntries(SERVICES.map((service) => [service, openDatabase(service, sources.postgres[service])])) as Record<Service, Database>;
  const world: World = { window, databases, provider, sandbox: sources.sandbox || undefined, nats: sources.nats, journal: sources.journal, have };

  const found: Tally[] = [];
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < FAMILIES.length; i = next++) found[i] = await withWhatIsThere(FAMILIES[i] as Family, world, lose);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const total = createTally();
  for (const tally of found) total.add(tally);
  const rows = rowsOf(total, away);
  return {
    startTime: start.toISOString(),
    tookMs: Date.now() - start.getTime(),
    ...(since && { since: since.toISOString() }),
    violations: rows.reduce((sum, row) => sum + row.violations, 0),
    rows,
    away: [...away].map(([source, error]) => ({ source, error })),
  };
}

/** Runs a family again without a source that turned out to be away; what it had counted until then is forgotten. */
async function withWhatIsThere(check: Family, world: World, lose: (source: Source, error: string) => void): Promise<Tally> {
  for (;;) {
    const tally = createTally();
    const had = new Set(world.have);
    try {
      await check(world, tally);
      return tally;
    } catch (error) {
      if (!(error instanceof SourceAwayError) || !had.has(error.source)) throw error;
      // Another family may have lost it already.
      if (world.have.has(error.source)) lose(error.source, error.message);
    }
  }
}
