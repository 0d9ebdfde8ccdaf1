import { expect, test } from 'vitest';
import { sharedLooks } from './shared-look.ts';

const turn = () => new Promise(setImmediate);

/** Looks that end when they are told to. */
function gated() {
  const begun: string[] = [];
  const gates: PromiseWithResolvers<string>[] = [];
  const ask = sharedLooks((key: string) => key, (key) => {
    begun.push(key);
    const gate = Promise.withResolvers<string>();
    gates.push(gate);
    return gate.promise;
  });
  return { begun, gates, ask };
}

test('who asks the same at the same time shares a look; something else is looked at beside it', async () => {
  const { begun, gates, ask } = gated();
  const answers = Promise.all([ask('a'), ask('b'), ask('a')]);
  await turn();
  expect(begun).toEqual(['a', 'b']);
  gates.forEach((gate, i) => gate.resolve(`look ${i}`));
  expect(await answers).toEqual(['look 0', 'look 1', 'look 0']);
});

test('who asks while a look is under way waits for the next one, with all who do so', async () => {
  const { begun, gates, ask } = gated();
  const early = ask('a');
  await turn();
  const late = [ask('a'), ask('a')];
  await turn();
  expect(begun).toEqual(['a']);
  gates[0]?.resolve('old');
  expect(await early).toBe('old');
  await turn();
  expect(begun).toEqual(['a', 'a']);
  gates[1]?.resolve('new');
  expect(await Promise.all(late)).toEqual(['new', 'new']);
});

test('a look that fails fails for those who share it, and the next one is made', async () => {
  const { begun, gates, ask } = gated();
  const shared = Promise.allSettled([ask('a'), ask('a')]);
  await turn();
  const next = ask('a');
  gates[0]?.reject(new Error('away'));
  expect((await shared).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await turn();
  gates[1]?.resolve('there');
  expect([await next, begun.length]).toEqual(['there', 2]);
});
