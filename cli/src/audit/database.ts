// Reads a service's database: read-only transactions, server-side cursors or COPY, never more than a few batches of rows in memory.
import pg from 'pg';
import { type Bytes, copyOut, withValues } from './copy.ts';
import type { Source } from './report.ts';

/** A row as Postgres writes it: every value is text, or null. */
export type Row = (string | null)[];
export type Database = {
  /** Rows in batches. Parameters are $1 …; the values that are the same everywhere are in `Window`. */
  rows(sql: string, values?: unknown[]): AsyncIterable<Row[]>;
  /** All rows of an answer that is known to be small. */
  few(sql: string, values?: unknown[]): Promise<Row[]>;
  /** Rows whose columns Postgres packs in bulk, as bytes. */
  packed(sql: string, values?: Value[]): AsyncIterable<Bytes>;
  /** A table of which all rows are packed into one column, piece by piece: nothing is sorted, grouped or held as a whole. `sql` is told what makes the piece. */
  pieces(table: string, sql: (piece: string) => string, values?: Value[]): AsyncIterable<Buffer>;
  /** About how many rows some tables have, for whoever makes room for them: their pages now, as full as when they were analyzed. */
  expectedRows(tables: string[]): Promise<number>;
  /** Several statements that see one moment. */
  moment<T>(work: (moment: Moment) => Promise<T>): Promise<T>;
};
/** `ask` holds its answer whole; the others are as above, one at a time. */
export type Moment = { ask: (sql: string, values?: unknown[]) => Promise<Row[]> } & Pick<Database, 'packed' | 'pieces' | 'expectedRows'>;
type Value = string | number | string[];

async function expectedRows(ask: Moment['ask'], tables: string[]): Promise<number> {
  const [[rows] = []] = await ask(`
    SELECT sum(pg_relation_size(oid) / current_setting('block_size')::int * CASE WHEN reltuples < 0 OR relpages = 0 THEN ${ROWS_IN_PAGE} ELSE reltuples / relpages END)
    FROM pg_class WHERE oid = ANY($1::text[]::regclass[])`, [tables]);
  return Math.round(Number(rows ?? 0));
}

/** A source that can't be read: the audit says so and goes on without it. */
export class SourceAwayError extends Error {
  override readonly name = 'SourceAwayError';
  readonly source: Source;
  constructor(source: Source, cause: unknown) {
    super(reasonOf(cause), { cause });
    this.source = source;
  }
}

/** A machine under load may take seconds to answer; one that is away mostly refuses at once. */
const CONNECT_MS = 15_000;
/** The largest single statement over a million orders takes some ten seconds, on a machine that has nothing else to do. */
const STATEMENT_MS = 900_000;
/** Side by side, the one that is ahead waits for the others. */
const IDLE_MS = 600_000;
/** Of a table that was never analyzed. Orders have ten, holds thirty. */
const ROWS_IN_PAGE = 20;
/** Rows in a batch: about half a megabyte. */
const BATCH = 2_000;
/** Of eight kilobytes. The narrowest rows are ids: half a megabyte of them. */
const PAGES = 200;
/** Rows of `few`; whoever has more has something else to read first. */
const FEW = 1_000;
/** One sort of a million narrow rows; two statements at a time make a few of them. */
const WORK_MEM = '96MB';

export function openDatabase(source: Source, url: string | undefined): Database {
  async function* batches(client: pg.Client, sql: string, values: unknown[]): AsyncGenerator<Row[]> {
    await reached(() => client.query(`DECLARE audited NO SCROLL CURSOR FOR ${sql}`, values));
    const fetch = { text: `FETCH ${BATCH} FROM audited`, rowMode: 'array' as const, types: AS_TEXT };
    let next = reached(() => fetchFrom(client, fetch));
    for (;;) {
      const batch = await next;
      if (batch.length === BATCH) {
        next = reached(() => fetchFrom(client, fetch));
        next.catch(() => {}); // told when it is awaited
      }
      if (batch.length > 0) yield batch;
      if (batch.length < BATCH) break;
    }
    await reached(() => client.query('CLOSE audited'));
  }

  async function* bytes(client: pg.Client, sql: string, values: Value[] = []): AsyncGenerator<Bytes> {
    try {
      yield* copyOut(client, withValues(sql, values, (text) => client.escapeLiteral(text)));
    } catch (error) {
      throw new SourceAwayError(source, error);
    }
  }

  async function* pieces(client: pg.Client, table: string, sql: (piece: string) => string, values?: Value[]): AsyncGenerator<Buffer> {
    const [[pages] = []] = await ask(client, `SELECT pg_relation_size('${table}') / current_setting('block_size')::int`);
    const read = async (from: number) => {
      let piece: Bytes | undefined;
      for await (const row of bytes(client, sql(`ctid >= '(${from},0)'::tid AND ctid < '(${from + PAGES},0)'::tid`), values)) piece = row;
      return piece?.[0];
    };
    let next = read(0);
    for (let from = 0; from < Number(pages); from += PAGES) {
      const piece = await next;
      next = read(from + PAGES);
      next.catch(() => {}); // told when it is awaited
      if (piece) yield piece;
    }
    await next;
  }

  function ask(client: pg.Client, text: string, values: unknown[] = []): Promise<Row[]> {
    return reached(() => fetchFrom(client, { text, values, rowMode: 'array', types: AS_TEXT }));
  }

  async function* alone<T>(read: (client: pg.Client) => AsyncIterable<T>): AsyncGenerator<T> {
    const client = await begin();
    try {
      yield* read(client);
    } finally {
      // An answer that nobody reads to its end is cut off with its connection.
      void client.end().catch(() => {});
    }
  }

  async function begin(): Promise<pg.Client> {
    const client = await reached(() => connect(url));
    await reached(() => client.query(BEGIN));
    return client;
  }

  async function reached<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw new SourceAwayError(source, error);
    }
  }

  return {
    rows: (sql, values = []) => alone((client) => batches(client, sql, values)),
    packed: (sql, values) => alone((client) => bytes(client, sql, values)),
    pieces: (table, sql, values) => alone((client) => pieces(client, table, sql, values)),
    expectedRows(tables) {
      return expectedRows((sql, values) => this.few(sql, values), tables);
    },
    async moment(work) {
      const client = await begin();
      try {
        return await work({
          ask: (text, values) => ask(client, text, values),
          expectedRows: (tables) => expectedRows((text, values) => ask(client, text, values), tables),
          packed: (sql, values) => bytes(client, sql, values),
          pieces: (table, sql, values) => pieces(client, table, sql, values),
        });
      } finally {
        void client.end().catch(() => {});
      }
    },
    async few(sql, values) {
      for await (const batch of this.rows(`SELECT * FROM (${sql}) answer LIMIT ${FEW}`, values)) return batch;
      return [];
    },
  };
}

// The whole answer is wanted: without the fraction the planner walks an index in random order to have the first row soon.
const BEGIN = `BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL cursor_tuple_fraction = 1; SET LOCAL work_mem = '${WORK_MEM}'; SET LOCAL jit = off; SET LOCAL idle_in_transaction_session_timeout = ${IDLE_MS}`;

const AS_TEXT: pg.CustomTypesConfig = { getTypeParser: () => ((value: string) => value) as never };

async function connect(url: string | undefined): Promise<pg.Client> {
  if (!url) throw new Error('no address is known');
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS, statement_timeout: STATEMENT_MS, application_name: 'millrace audit' });
  // Without a listener the error of a connection that dies between two queries would end the process.
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function fetchFrom(client: pg.Client, query: pg.QueryArrayConfig & { types: pg.CustomTypesConfig }): Promise<Row[]> {
  return (await client.query<Row>(query)).rows;
}

// A refused connection to a name with several addresses comes as an AggregateError without a message.
function reasonOf(cause: unknown): string {
  const { message, code, errors } = cause as { message?: string; code?: string; errors?: unknown[] };
  return message || (errors?.[0] ? reasonOf(errors[0]) : (code ?? String(cause)));
}
