/** `work` for all who ask while it is under way: they share its outcome. */
export function oneAtATime<T>(work: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return async () => (underWay ??= work().finally(() => (underWay = undefined)));
}
