// How often one subject may call: a bucket each, filled at the configured rate, one second deep.

/** Buckets kept. The one used longest ago is dropped, and comes back full: that errs on the caller's side. */
const MAX_SUBJECTS = 50_000;

type Bucket = { tokens: number; filledAt: number };

/** Answers 0 when the call may go on, else the milliseconds until it may. */
export type RateLimit = (subject: string) => number;

export function createRateLimit(perSecond: number, now: () => number = () => performance.now(), maxSubjects = MAX_SUBJECTS): RateLimit {
  const buckets = new Map<string, Bucket>();
  return (subject) => {
    const at = now();
    const bucket = buckets.get(subject) ?? { tokens: perSecond, filledAt: at };
    bucket.tokens = Math.min(perSecond, bucket.tokens + ((at - bucket.filledAt) * perSecond) / 1000);
    bucket.filledAt = at;
    // Taken out and put back: a Map keeps insertion order, so its first key is the one used longest ago.
    buckets.delete(subject);
    buckets.set(subject, bucket);
    if (buckets.size > maxSubjects) for (const oldest of buckets.keys()) { buckets.delete(oldest); break; }
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) * 1000) / perSecond);
    bucket.tokens -= 1;
    return 0;
  };
}
