import { expect, test } from 'vitest';
import { warmUp } from './warm-up.ts';

test('practice ends after its rounds', async () => {
  let done = 0;
  await warmUp(3, async () => void (done += 1), () => 0);
  expect(done).toBe(3);
});

test('on a machine where every round is slow it ends with its time', async () => {
  let clock = 0;
  let done = 0;
  await warmUp(200, async () => {
    done += 1;
    clock += 300;
  }, () => clock);
  expect(done).toBe(4);
});
