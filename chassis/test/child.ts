// A process for process.int.test.ts; its first argument says how it behaves.
import { readConfig, url } from '../src/config.ts';
import { runProcess } from '../src/process.ts';

const behaviours: Record<string, () => Promise<void>> = {
  serve: async () => {},
  misconfigured: async () => void readConfig('child', { SANDBOX_URL: url, OTHER_URL: url }, { OTHER_URL: 'canary' }),
  'fail to start': async () => {
    throw new Error('no database');
  },
  'throw once': async () => void setTimeout(() => fail('stray'), 1),
  'reject once': async () => void setTimeout(() => void Promise.reject(new Error('stray')), 1),
  'throw for ever': async () => void setInterval(() => fail('stray'), 1),
};

await runProcess(async () => {
  const timer = setInterval(() => {}, 60_000);
  const behaviour = process.argv[2] ?? '';
  await behaviours[behaviour]?.();
  if (behaviour === 'throw once' || behaviour === 'reject once') await new Promise((resolve) => setTimeout(resolve, 50));
  process.stdout.write('{"msg":"ready"}\n');
  return { name: 'child', stop: async () => (behaviour === 'never stop' ? new Promise(() => {}) : clearInterval(timer)) };
});

function fail(message: string): never {
  throw new Error(message);
}
