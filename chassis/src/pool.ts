// Connections to Postgres, lent in turn. How long a caller waits for one and how long one may take to be made are two things: on a machine at
// its limit a connection needs longer than anybody waits, and one that is given up with its caller and begun again is never made at all.
import pg from 'pg';
import { PgClient } from './pg-client.ts';

export type PoolOptions = Omit<pg.PoolConfig, 'connectionTimeoutMillis'> & { waitMs?: number };

/** A caller that gets no connection for this long is shed instead of queued. */
const WAIT_MS = 3_000;
/** A new connection that isn't there by then never will be: its packets were lost. Until then it is made on, for whoever comes next. */
const CONNECT_MS = 15_000;

type Lent = (error: Error | undefined, client: pg.PoolClient | undefined, release: (problem?: unknown) => void) => void;

export class Pool extends pg.Pool {
  private readonly waitMs: number;

  constructor({ waitMs = WAIT_MS, ...options }: PoolOptions) {
    super({ ...options, Client: PgClient, connectionTimeoutMillis: CONNECT_MS });
    this.waitMs = waitMs;
    // A server's last words may come in the packet that makes the connection ready: before its borrower, who is told a tick later, can listen.
    // Whoever then asks the connection something is told, and it does not come back into the pool; without a listener it would end the process.
    this.on('connect', (client) => void client.on('error', () => {}));
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
