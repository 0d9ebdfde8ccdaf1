import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test, vi } from 'vitest';
import { ROOT } from './home.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-compile-'));
vi.stubEnv('NODE_COMPILE_CACHE', folder);
const { compileAhead } = await import('./compile-ahead.ts');

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const compiled = () => globSync('*/*', { cwd: folder }).sort();
/** Without an environment it reads all its code, says what is missing and ends. */
const start = (script: string) => promisify(execFile)(process.execPath, [path.join(ROOT, script)], { env: { NODE_COMPILE_CACHE: folder } }).catch(({ code }: { code: number }) => code);

test('what is compiled ahead is all that any process of ours needs', { timeout: 30_000 }, async () => {
  await compileAhead();
  const ahead = compiled();
  for (const script of [...globSync('services/*/src/main.ts', { cwd: ROOT }), 'edge/src/main.ts', 'sandbox/src/main.ts', 'local/src/together.ts']) expect.soft(await start(script), script).not.toBe(0);
  expect(ahead.length).toBeGreaterThan(500);
  expect(compiled()).toEqual(ahead);
});

test('sources that have not changed are not compiled again', async () => {
  const stamp = () => statSync(path.join(folder, 'sources')).mtimeMs;
  const before = stamp();
  await compileAhead();
  expect(stamp()).toBe(before);
});
