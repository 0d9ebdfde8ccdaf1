// How far an outbox is published. Events get their positions in the order in which transactions ask for them, and are seen in the order in
// which transactions commit: where a position is missing between others, its event may still come, or never.

/** Positions at which nothing was seen, though there was something after them. */
type Gap = {
  first: bigint;
  last: bigint;
  /** The transactions that may still fill it, as far as is known: nobody has looked yet when it is undefined, and what is missing stays so when there are none. */
  writers?: ReadonlySet<string>;
};

export class Progress {
  #seen = 0n;
  #gaps: Gap[] = [];

  /** Whatever there was up to here when it was looked at has been published. */
  get seen(): bigint {
    return this.#seen;
  }

  /** Everything up to here has been published, or will never be there. */
  get mark(): bigint {
    const [gap] = this.#gaps;
    return gap === undefined ? this.#seen : gap.first - 1n;
  }

  /** In the order of positions. */
  get gaps(): readonly Readonly<Gap>[] {
    return this.#gaps;
  }

  /** `mark` is that of whoever published before us. */
  goOnFrom(mark: bigint): void {
    if (mark <= this.mark) return;
    this.#gaps = this.#gaps.flatMap((gap) => (gap.last <= mark ? [] : gap.first <= mark ? { ...gap, first: mark + 1n } : gap));
    if (mark > this.#seen) this.#seen = mark;
  }

  /** `positions`, in their order, is what there was next; it has been published. */
  publishedNext(positions: readonly bigint[]): void {
    const last = positions.at(-1);
    if (last === undefined) return;
    const next = { first: this.#seen + 1n, last };
    // As it mostly is.
    if (last - this.#seen !== BigInt(positions.length)) this.#gaps.push(...without(next, positions));
    this.#seen = last;
  }

  /** `positions`, in their order, were in gaps, and have been published. */
  publishedLate(positions: readonly bigint[]): void {
    if (positions.length > 0) this.#gaps = this.#gaps.flatMap((gap) => without(gap, positions));
  }

  /**
   * Forgets gaps that nobody can fill any more. `writing`: every transaction that may write events now; `seen`, in their order: the positions in
   * gaps at which there was something when that was known.
   */
  close(writing: ReadonlySet<string>, seen: readonly bigint[]): void {
    this.#gaps = this.#gaps.flatMap((gap) => {
      const writers = gap.writers === undefined ? writing : new Set([...gap.writers].filter((writer) => writing.has(writer)));
      if (writers.size > 0) return { ...gap, writers };
      return seen.filter((position) => position >= gap.first && position <= gap.last).map((position) => ({ first: position, last: position, writers }));
    });
  }
}

function without(gap: Gap, positions: readonly bigint[]): Gap[] {
  const left: Gap[] = [];
  let { first } = gap;
  for (const position of positions) {
    if (position < first) continue;
    if (position > gap.last) break;
    if (position > first) left.push({ ...gap, first, last: position - 1n });
    first = position + 1n;
  }
  if (first <= gap.last) left.push({ ...gap, first });
  return left;
}
