// Postgres: lent transactions and prepared statements over one pool, which Prisma's reads share.

import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { databaseAway } from '../api/database-away.ts';
import { refuse } from '../api/errors.ts';
import { backoff } from '../flow/backoff.ts';
import type { Log } from '../telemetry/log.ts';
import { Pool } from './pool.ts';
import { Statement, allOf, likeText, rowset, sql, statementNames } from './sql.ts';

export { databaseAway } from '../api/database-away.ts';
export { allOf, likeText, rowset, sql, Statement };

export type Queryable = { query<Row>(statement: Statement): Promise<Row[]> };

export type Tx = Queryable & {
  /** Runs after a successful commit, never after a rollback; in-process hints only. */
  afterCommit(hint: () => void): void;
  /** Says that this transaction writes events, so that the relay is poked after its commit. */
  writesEvents(): void;
};

/** The database's clock as its latest answer showed it, carried on by ours: for deadlines that are made before the database is asked. */
export type DatabaseClock = { now(): Date; saw(now: Date): void };

export type Database = Queryable & {
  /** Lends a READ COMMITTED transaction; commits when `work` resolves, rolls back when it throws. Runs `work` again after a deadlock. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Calls `hint` after each commit that wrote events. */
  onEvents(hint: () => void): void;
  /** Says that a statement of its own, outside a transaction, has written events. */
  wroteEvents: () => void;
  clock: DatabaseClock;
  pool: pg.Pool;
  prismaAdapter(): PrismaPg;
  close(): Promise<void>;
};

/** Enough for the batch lanes, the loops and the reads of one service; five services stay far below Postgres's 100. */
const POOL_SIZE = 12;
/** No statement of ours is right when it takes longer. */
const STATEMENT_TIMEOUT_MS = 15_000;
/** A lock that isn't had by then belongs to somebody who hangs. */
const LOCK_TIMEOUT_MS = 5_000;
/** A session whose client died in mid-transaction gives its locks back. */
const IDLE_IN_TRANSACTION_MS = 20_000;
/** A server that has stopped answering (SIGSTOP, blackhole) holds a query no longer than this. */
const QUERY_TIMEOUT_MS = 20_000;
/** Lists' statements, one for each combination of filters, that are planned once a connection instead of each time; a plan keeps some 50 kB of it. */
const MAX_PREPARED_READS = 64;
const DEADLOCK_TRIES = 4;
const RETRY_AFTER_MS = 1_000;

const INT8: number = pg.types.builtins.INT8;
/** Not pg's global table: Prisma, on the same pool, wants int8 as text. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => (oid === INT8 ? BigInt : pg.types.getTypeParser(oid, format)) as never,
};

export function openDatabase(url: string, log: Log, options: { max?: number } = {}): Database {
  const pool = new Pool({
    connectionString: url,
    types,
    max: options.max ?? POOL_SIZE,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    // Statements sent while another is under way don't wait for its answer: BEGIN travels with the first, and what is saved together in one packet.
    pipeline: true,
    // Each statement is planned once a connection: planning anew costs as much as running. A plan made while a table is nearly empty
    // would scan it whole long after it has grown, so scans are priced out: every statement of ours has an index. See plannedByValue.
    options: '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off',
  });
  // An idle connection that the server closed; the pool opens another one when it is needed.
  pool.on('error', (error) => log.warn({ err: error }, 'a database connection was lost'));
  const eventHints = new Set<() => void>();
  const readName = statementNames(MAX_PREPARED_READS);

  const database: Database = {
    pool,
    query: <Row>(statement: Statement) => translated(async () => (await pool.ask(statement)).rows as Row[]),
    transaction: (work) => translated(() => transact(pool, work, database.wroteEvents)),
    onEvents: (hint) => void eventHints.add(hint),
    wroteEvents: () => eventHints.forEach((hint) => hint()),
    clock: createClock(),
    prismaAdapter: () => new PrismaPg(pool, { disposeExternalPool: false, statementNameGenerator: ({ sql: text }) => readName(text) ?? '' }),
    close: () => pool.end(),
  };
  return database;
}

/** For statements that have to be planned for their values: of a beginning, or a word, only those say which index finds it. */
export function plannedByValue<T>(db: Pick<Database, 'transaction'>, work: (db: Queryable) => Promise<T>): Promise<T> {
  return db.transaction(async (tx) => {
    await tx.query(sql`SET LOCAL plan_cache_mode = force_custom_plan`);
    return work(tx);
  });
}

async function transact<T>(pool: pg.Pool, work: (tx: Tx) => Promise<T>, onEvents: () => void): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const client = await pool.connect();
    const hints = new Set<() => void>();
    let broken: Error | undefined;
    // Without a listener the error of a connection that dies while it is lent would end the process.
    const onError = (error: Error) => void (broken = error);
    client.on('error', onError);
    try {
      // Not awaited yet: it travels with the first statement.
      const begun = client.query('BEGIN');
      begun.catch(() => {});
      const result = await work({
        query: async <Row>(statement: Statement) => (await client.query(statement)).rows as Row[],
        afterCommit: (hint) => void hints.add(hint),
        writesEvents: () => void hints.add(onEvents),
      });
      await begun;
      const { command } = await client.query('COMMIT');
      // Postgres answers so when a statement had failed and nobody heard of it.
      if (command !== 'COMMIT') throw new Error(`the transaction ended with ${command}`);
      hints.forEach((hint) => hint());
      return result;
    } catch (error) {
      // A connection in an unknown state must not go back to the pool.
      await client.query('ROLLBACK').catch((rollbackError: Error) => void (broken ??= rollbackError));
      if (attempt >= DEADLOCK_TRIES || !lostToAnother(error)) throw error;
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
    await new Promise((resolve) => setTimeout(resolve, backoff(attempt, { baseMs: 5, maxMs: 100 })));
  }
}

function createClock(): DatabaseClock {
  let aheadMs = 0;
  return {
    now: () => new Date(Date.now() + aheadMs),
    saw: (now) => void (aheadMs = now.getTime() - Date.now()),
  };
}

/** Postgres refused a row because its key is there already: that of `constraint`, or of any when none is named. */
export function isKeyTaken(error: unknown, constraint?: string): boolean {
  const { code, constraint: broken } = error as { code?: unknown; constraint?: unknown };
  return code === '23505' && (constraint === undefined || broken === constraint);
}

/** Serialization failure or deadlock: Postgres chose us to run again. */
function lostToAnother(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === '40001' || code === '40P01';
}

async function translated<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!databaseAway(error)) throw error;
    throw Object.assign(refuse('DEPENDENCY_UNAVAILABLE', 'the database is away', {}, RETRY_AFTER_MS), { cause: error });
  }
}
