import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { CRASH_POINTS } from './crash-points.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

/** Points in the code of a folder, as patterns: a hole in a template stands for any word. */
function pointsIn(folder: string): RegExp[] {
  const sources = globSync(`${folder}/src/**/*.ts`, { cwd: ROOT }).filter((file) => !file.endsWith('.test.ts'));
  const calls = sources.flatMap((file) => [...readFileSync(path.join(ROOT, file), 'utf8').matchAll(/\bcrashPoint\(['`]([^'`]+)['`]\)/g)]);
  return calls.map(([, name = '']) => new RegExp(`^${name.replaceAll('.', '\\.').replaceAll(/\$\{[^}]+\}/g, '\\w+')}$`));
}

test.each(Object.entries(CRASH_POINTS))('the crash points of %s are those in its code', (service, listed) => {
  const own = pointsIn(`services/${service}`);
  const inherited = pointsIn('chassis');
  expect(listed.filter((point) => ![...own, ...inherited].some((pattern) => pattern.test(point))), 'listed, and nowhere in the code').toEqual([]);
  expect(own.filter((pattern) => !listed.some((point) => pattern.test(point))), 'in the code, and not listed').toEqual([]);
  expect(new Set(listed).size).toBe(listed.length);
});

test('every point of the chassis is listed for some service', () => {
  const all = Object.values(CRASH_POINTS).flat();
  expect(pointsIn('chassis').filter((pattern) => !all.some((point) => pattern.test(point)))).toEqual([]);
});
