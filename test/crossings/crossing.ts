// What a crossing is: a service's state, what may happen to it, and which two things race on purpose.

/** What happens to a state; throws the service's refusal when it may not. */
export type Happening<State = unknown> = (state: State) => State;

export type Crossing<State = unknown> = {
  service: string;
  /** Where the service may stand when two things happen to it, by a name for people. */
  starts: Record<string, () => State>;
  happenings: Record<string, Happening<State>>;
  /** What must not depend on the order. */
  endOf: (state: State) => unknown;
  /** Two things of which only one can be: "instead" of each other; they are not crossed. */
  instead: readonly (readonly string[])[];
  /** Where the first to come decides, and why that is right; `starts` names where. */
  races: readonly { of: readonly [string, string]; starts: readonly string[]; why: string }[];
};

export type Pair = { crossing: Crossing; start: string; one: string; other: string; race: string | undefined };

/** Every two happenings that can be true together, from every start. */
export function pairsOf(crossing: Crossing): Pair[] {
  const { happenings, instead, races } = crossing;
  const names = Object.keys(happenings);
  const together = (a: string, b: string): boolean => !instead.some((group) => group.includes(a) && group.includes(b));
  const raceOf = (a: string, b: string, start: string): string | undefined => races.find(({ of, starts }) => of.includes(a) && of.includes(b) && starts.includes(start))?.why;
  return Object.keys(crossing.starts).flatMap((start) =>
    names.flatMap((one, i) => names.slice(i + 1).flatMap((other) => (together(one, other) ? [{ crossing, start, one, other, race: raceOf(one, other, start) }] : []))));
}

/** Where two happenings end in this order. What was refused is tried once more, after both. */
export function ends({ starts, happenings, endOf }: Crossing, start: string, ...order: string[]): unknown {
  let state = (starts[start] as () => unknown)();
  const attempt = (name: string): boolean => {
    try {
      state = (happenings[name] as Happening)(state);
      return true;
    } catch (error) {
      if (typeof (error as { reason?: unknown }).reason !== 'string') throw error;
      return false;
    }
  };
  order.filter((name) => !attempt(name)).forEach(attempt);
  return endOf(state);
}

/** A service's own crossing, for the one who runs them all. */
export const crossing = <State>(of: Crossing<State>): Crossing => of as unknown as Crossing;
