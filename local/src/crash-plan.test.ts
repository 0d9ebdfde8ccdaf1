import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CRASH_PLAN, nextCrash, planCrash } from './crash-plan.ts';
import { openHome } from './home.ts';

function newHome() {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-plan-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return openHome(folder);
}

test('each point is handed to one start of its own service', () => {
  const home = newHome();
  writeFileSync(home.file(CRASH_PLAN), 'order.place.held\npayment.claimed:3\norder.place.inserted\n');
  expect(nextCrash(home, 'inventory')).toEqual({});
  expect(nextCrash(home, 'order')).toEqual({ MILLRACE_CRASH_POINT: 'order.place.held' });
  expect(nextCrash(home, 'payment')).toEqual({ MILLRACE_CRASH_POINT: 'payment.claimed:3' });
  expect(nextCrash(home, 'together')).toEqual({ MILLRACE_CRASH_POINT: 'order.place.inserted' });
  expect(nextCrash(home, 'order')).toEqual({});
});

test('a point from the environment is used once, and an old plan is not gone on with', () => {
  const home = newHome();
  planCrash(home, 'order.place.held');
  expect(nextCrash(home, 'order')).toEqual({ MILLRACE_CRASH_POINT: 'order.place.held' });
  expect(nextCrash(home, 'order')).toEqual({});
  writeFileSync(home.file(CRASH_PLAN), 'order.place.held\n');
  planCrash(home, undefined);
  expect(nextCrash(home, 'order')).toEqual({});
});
