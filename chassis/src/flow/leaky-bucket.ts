/** Counts what happens; answers whether it has been more than `most`, of which `perSecond` are forgotten each second. What was too many counts no further. */
export function leakyBucket(most: number, perSecond: number): () => boolean {
  let level = 0;
  let at = performance.now();
  return () => {
    const now = performance.now();
    level = Math.min(most, Math.max(0, level - (now - at) / 1_000 * perSecond)) + 1;
    at = now;
    return level > most;
  };
}
