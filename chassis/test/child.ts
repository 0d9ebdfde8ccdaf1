// A process for process.int.test.ts; its first argument says how it behaves.
import { PerformanceObserver, constants } from 'node:perf_hooks';
import { readConfig, url } from '../src/config.ts';
import { STAY_WARM, runProcess } from '../src/process.ts';

/** What an observer hears of one. */
type GarbageCollection = { kind: number; flags: number };

const BURST_MS = 1_000;

const behaviours: Record<string, () => Promise<void>> = {
  serve: async () => {},
  misconfigured: async () => void readConfig('child', { SANDBOX_URL: url, OTHER_URL: url }, { OTHER_URL: 'canary' }),
  'fail to start': async () => {
    throw new Error('no database');
  },
  'throw once': async () => void setTimeout(() => fail('stray'), 1),
  'reject once': async () => void setTimeout(() => void Promise.reject(new Error('stray')), 1),
  'burst, then rest': async () => restAfterBurst(),
  'throw for ever': async () => void setInterval(() => fail('stray'), 1),
};

await runProcess(async () => {
  const timer = setInterval(() => {}, 60_000);
  const behaviour = process.argv[2] ?? '';
  await behaviours[behaviour]?.();
  if (behaviour === 'throw once' || behaviour === 'reject once') await new Promise((resolve) => setTimeout(resolve, 50));
  process.stdout.write('{"msg":"ready"}\n');
  return { name: 'child', stop: async () => (behaviour === 'never stop' ? new Promise(() => {}) : clearInterval(timer)) };
  // Without V8's own reducer: a collection in a lull is ours.
}, { ...STAY_WARM, inLulls: true });

/** Works for a fifth of what a lull takes, then ends the process at the first collection that is a last resort. */
function restAfterBurst(): void {
  new PerformanceObserver((list) => {
    const details = list.getEntries().map((entry) => (entry as PerformanceEntry & { detail: GarbageCollection }).detail);
    if (details.some(({ kind, flags }) => kind === constants.NODE_PERFORMANCE_GC_MAJOR && flags === constants.NODE_PERFORMANCE_GC_FLAGS_ALL_AVAILABLE_GARBAGE)) process.kill(process.pid, 'SIGTERM');
  }).observe({ entryTypes: ['gc'] });
  setTimeout(() => {
    for (const until = performance.now() + BURST_MS; performance.now() < until; );
  }, 1);
}

function fail(message: string): never {
  throw new Error(message);
}
