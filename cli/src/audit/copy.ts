// Answers as bytes: what COPY hands over in Postgres's binary format. The client reads every other answer as text, in which bytes are
// twice as long and have to be written and read digit by digit.
import type pg from 'pg';

/** One row; the bytes of each column, null where there is none. */
export type Bytes = (Buffer | null)[];

/** Rows that wait for their reader before the sender is told to wait; a packed one has half a megabyte. */
const WAITING = 4;
/** What stands before the first row: a signature, flags, and the length of an extension. */
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const HEADER = SIGNATURE.length + 8;

/** COPY knows no parameters: $1 … are written into the statement. A list becomes an array of text. */
export function withValues(sql: string, values: readonly (string | number | string[])[], literal: (text: string) => string): string {
  const written = values.map((value) => (Array.isArray(value) ? `ARRAY[${value.map(literal).join(', ')}]::text[]` : literal(String(value))));
  return sql.replace(/\$(\d+)/g, (_all, n: string) => written[Number(n) - 1] ?? 'NULL');
}

export async function* copyOut(client: pg.Client, sql: string): AsyncGenerator<Bytes> {
  const copy = client.query(new Copy(`COPY (${sql}) TO STDOUT (FORMAT binary)`));
  for (;;) {
    const row = await copy.next();
    if (!row) return;
    yield row;
  }
}

/** A query as the client's own ones are: it is told what comes from the server. */
class Copy implements pg.Submittable {
  readonly #text: string;
  readonly #rows: Bytes[] = [];
  #connection: pg.Connection | undefined;
  #ended = false;
  #error: Error | undefined;
  #wake = () => {};

  constructor(text: string) {
    this.#text = text;
  }

  async next(): Promise<Bytes | undefined> {
    while (this.#rows.length === 0) {
      if (this.#error) throw this.#error;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => void (this.#wake = resolve));
    }
    const row = this.#rows.shift();
    if (this.#rows.length < WAITING) this.#connection?.stream.resume();
    return row;
  }

  submit(connection: pg.Connection): void {
    this.#connection = connection;
    connection.query(this.#text);
  }

  /** A message holds whole rows; the client uses its memory again. */
  handleCopyData({ chunk }: { chunk: Buffer }): void {
    let at = chunk.subarray(0, SIGNATURE.length).equals(SIGNATURE) ? HEADER + chunk.readUInt32BE(HEADER - 4) : 0;
    while (at < chunk.length) {
      const columns = chunk.readInt16BE(at);
      at += 2;
      // After the last row.
      if (columns < 0) return;
      const row: Bytes = [];
      for (let i = 0; i < columns; i += 1) {
        const length = chunk.readInt32BE(at);
        at += 4;
        row.push(length < 0 ? null : Buffer.from(chunk.subarray(at, at + length)));
        at += Math.max(0, length);
      }
      this.#rows.push(row);
    }
    if (this.#rows.length >= WAITING) this.#connection?.stream.pause();
    this.#wake();
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#ended = true;
    this.#wake();
  }

  handleError(error: Error): void {
    this.#error = error;
    this.#wake();
  }
}
