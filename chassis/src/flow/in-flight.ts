// What is under way at this moment.

/**
 * Like a Set whose things come and go all the time, and leaves nothing behind. A Set's or Map's table, when it is made anew, goes on pointing
 * to the next one: once the first of them lies in V8's old generation, all that were made later stay with what they held until a major collection.
 */
export class InFlight<T> implements Iterable<T> {
  readonly #entries: { thing: T; place: number }[] = [];

  /** Answers how to take it out again; a second time does nothing. */
  add(thing: T): () => void {
    const entry = { thing, place: this.#entries.length };
    this.#entries.push(entry);
    return () => {
      if (entry.place < 0) return;
      const last = this.#entries.pop();
      if (last !== undefined && last !== entry) {
        this.#entries[entry.place] = last;
        last.place = entry.place;
      }
      entry.place = -1;
    };
  }

  /** Those that are under way when it is asked; what comes and goes meanwhile is not seen. */
  [Symbol.iterator](): Iterator<T> {
    return this.#entries.map(({ thing }) => thing)[Symbol.iterator]();
  }
}
