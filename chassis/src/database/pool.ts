// Connections to Postgres, lent in turn. How long a caller waits for one and how long one may take to be made are two things: on a machine at
// its limit a connection needs longer than anybody waits, and one that is given up with its caller and begun again is never made at all.
import pg from 'pg';
import { PgClient } from './pg-client.ts';

export type PoolOptions = Omit<pg.PoolConfig, 'connectionTimeoutMillis'> & { waitMs?: number };

/** A caller that gets no connection for this long is shed instead of queued. */
const WAIT_MS = 3_000;
/** A new connection that isn't there by then never will be: its packets were lost. Until then it is made on, for whoever comes next. */
const CONNECT_MS = 15_000;
/** A connection costs both ends tens of milliseconds of CPU to make, and its statements their plans: one that a burst needed is kept for the next. */
const IDLE_MS = 60_000;

type Lent = (error: Error | undefined, client: pg.PoolClient | undefined, release: (problem?: unknown) => void) => void;

export class Pool extends pg.Pool {
  private readonly waitMs: number;

  constructor({ waitMs = WAIT_MS, ...options }: PoolOptions) {
    super({ ...options, Client: PgClient, connectionTimeoutMillis: CONNECT_MS, idleTimeoutMillis: IDLE_MS });
    this.waitMs = waitMs;
    // A server's last words may come in the packet that makes the connection ready: before its borrower, who is told a tick later, can listen.
    // Whoever then asks the connection something is told, and it does not come back into the pool; without a listener it would end the process.
    this.on('connect', (client) => void client.on('error', () => {}));
  }

  /** One statement. pg's own `query` ends the connection with every error, those too with which a statement means to refuse. */
  async ask<Row extends pg.QueryResultRow>(statement: pg.QueryConfig): Promise<pg.QueryResult<Row>> {
    const client = await this.connect();
    let broken: Error | undefined;
    try {
      return await client.query<Row>(statement);
    } catch (error) {
      if (!leavesTheSession(error)) broken = error as Error;
      throw error;
    } finally {
      client.release(broken);
    }
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(lent: Lent): void;
  // `query` asks with a callback, as does whoever shares this pool.
  override connect(lent?: Lent): Promise<pg.PoolClient> | void {
    if (lent === undefined) return new Promise((resolve, reject) => this.connect((error, client) => (client ? resolve(client) : reject(error))));
    let left = false;
    const timer = setTimeout(() => {
      left = true;
      lent(new Error('timeout exceeded when trying to connect'), undefined, () => {});
    }, this.waitMs);
    super.connect((error, client, release) => {
      clearTimeout(timer);
      if (left) client?.release();
      else lent(error, client, release);
    });
  }
}

/** What the server refused in so many words: the next statement finds the session as if nothing had been. FATAL is its last word. */
function leavesTheSession(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.severity === 'ERROR';
}
