// Joins streams that are sorted by the same key, across databases: one pass, one batch of each in memory.

/** A value under a key; keys ascend. */
export type Keyed<T> = { key: string; value: T };
export type Inputs = Record<string, AsyncIterable<Keyed<unknown>[]>>;
type ValuesOf<I> = { [K in keyof I]: I[K] extends AsyncIterable<Keyed<infer T>[]> ? T[] : never };

/** Calls `each` for every key of any input with the values that each input has under it, in order. */
export async function mergeByKey<I extends Inputs>(inputs: I, each: (key: string, values: ValuesOf<I>) => void): Promise<void> {
  const names = Object.keys(inputs);
  const cursors = names.map((name) => new Cursor(inputs[name] as I[string]));
  try {
    await Promise.all(cursors.map((cursor) => cursor.fill()));
    for (;;) {
      let key: string | undefined;
      for (const { current } of cursors) if (current !== undefined && (key === undefined || current.key < key)) key = current.key;
      if (key === undefined) return;
      const values: Record<string, unknown[]> = {};
      for (let i = 0; i < cursors.length; i += 1) {
        const cursor = cursors[i] as Cursor;
        const found: unknown[] = (values[names[i] as string] = []);
        while (cursor.current?.key === key) {
          found.push(cursor.current.value);
          if (!cursor.advance()) await cursor.fill();
        }
      }
      each(key, values as ValuesOf<I>);
    }
  } finally {
    await Promise.allSettled(cursors.map((cursor) => cursor.close()));
  }
}

class Cursor {
  current: Keyed<unknown> | undefined;
  readonly #batches: AsyncIterator<Keyed<unknown>[]>;
  #batch: Keyed<unknown>[] = [];
  #place = 0;

  constructor(batches: AsyncIterable<Keyed<unknown>[]>) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  /** Whether the next value was at hand; if not, `fill` gets it. */
  advance(): boolean {
    this.current = this.#batch[(this.#place += 1)];
    return this.current !== undefined;
  }

  async fill(): Promise<void> {
    do {
      const { done, value } = await this.#batches.next();
      [this.#batch, this.#place] = [done ? [] : value, 0];
      if (done) break;
    } while (this.#batch.length === 0);
    this.current = this.#batch[0];
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}

/** Rows of a database as values under the text of their first column. */
export async function* keyed<T>(batches: AsyncIterable<(string | null)[][]>, read: (row: (string | null)[]) => T): AsyncGenerator<Keyed<T>[]> {
  for await (const batch of batches) yield batch.map((row) => ({ key: row[0] ?? '', value: read(row) }));
}

/**
 * A line as one flat text. Pieces put together, or cut out of a longer one, would keep everything they came from in memory:
 * measured 1 kB a line instead of a tenth of it.
 */
export function flat(line: string): string {
  return Buffer.from(line, 'utf8').toString('utf8');
}

/** Lines of text that begin with their key and a blank, sorted here: a million of them take about a hundred megabytes. */
export async function* sortedLines(lines: string[]): AsyncGenerator<Keyed<string>[]> {
  lines.sort();
  for (let from = 0; from < lines.length; from += LINES) {
    yield lines.slice(from, from + LINES).map((line) => {
      const end = line.indexOf(' ');
      return { key: line.slice(0, end), value: line.slice(end + 1) };
    });
  }
}
const LINES = 5_000;
