import { expect, test } from 'vitest';
import { inTurn } from './in-turn.ts';

test('one job after the other, in the order in which they came; one that fails holds up none', async () => {
  const turn = inTurn('test');
  const log: string[] = [];
  const job = (name: string, ends: Promise<void> = Promise.resolve()) => async () => {
    log.push(`${name} begins`);
    await ends;
    log.push(`${name} ends`);
    return name;
  };
  const { promise, resolve } = Promise.withResolvers<void>();
  const jobs = [turn(job('a', promise)), turn(async () => { throw new Error('b failed'); }), turn(job('c'))];
  await new Promise(setImmediate);
  resolve();
  expect(await Promise.allSettled(jobs)).toMatchObject([{ value: 'a' }, { reason: new Error('b failed') }, { value: 'c' }]);
  expect(log).toEqual(['a begins', 'a ends', 'c begins', 'c ends']);
});

test('too many who wait are refused', async () => {
  const turn = inTurn('test');
  const never = () => new Promise<never>(() => {});
  void turn(never);
  await new Promise(setImmediate);
  for (let i = 0; i < 200; i += 1) void turn(never);
  await expect(turn(never)).rejects.toMatchObject({ reason: 'OVERLOADED' });
});
