// A bulkhead: how many calls one service may have in flight, so that a slow one can't take the edge down with it.

/** Unary calls to one service. Some 30 KB each at most: a flash sale fits, memory stays bounded. */
export const MAX_CALLS = 8_000;
/** Streams to one service: fewer than it takes on one session. */
export const MAX_STREAMS = 900;
/** Of these places one subject gets at most half. */
const SHARE = 0.5;

export type Places = {
  /** Takes a place and answers how to give it back (once; again does nothing), or why there is none. */
  take(subject: string): (() => void) | 'full' | 'share used up';
  taken(): number;
};

export function createPlaces(most: number): Places {
  const bySubject = new Map<string, number>();
  let taken = 0;
  return {
    take(subject) {
      if (taken >= most) return 'full';
      const own = bySubject.get(subject) ?? 0;
      if (own >= most * SHARE) return 'share used up';
      taken += 1;
      bySubject.set(subject, own + 1);
      let given = false;
      return () => {
        if (given) return;
        given = true;
        taken -= 1;
        const left = (bySubject.get(subject) ?? 1) - 1;
        if (left === 0) bySubject.delete(subject);
        else bySubject.set(subject, left);
      };
    },
    taken: () => taken,
  };
}
