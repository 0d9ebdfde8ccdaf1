// How many errors nobody caught: counted by process.ts, shown by metrics.ts.
let count = 0;

export function countUncaught(): number {
  return (count += 1);
}

export function uncaughtErrors(): number {
  return count;
}
