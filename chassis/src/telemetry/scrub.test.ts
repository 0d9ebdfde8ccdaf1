import { expect, it } from 'vitest';
import { hideCards, scrub } from './scrub.ts';

it.each([
  ['no such customer ann.lee+x@mail.example.com', 'no such customer [email]'],
  ['connect to postgresql://order:hunter2@127.0.0.1:5432/order', 'connect to postgresql://order:[password]@127.0.0.1:5432/order'],
  ['authorization: Bearer abc.def.ghi', 'authorization: Bearer [token]'],
  ['got eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln', 'got [token]'],
  ['key sk_test_4eC39HqLyjWDarjtT1 refused', 'key [key] refused'],
  ['secret pi_3N_secret_abc is for the browser', 'secret pi_3N_[secret] is for the browser'],
  ['signed with whsec_abcdef', 'signed with [secret]'],
  ['card 4242 4242 4242 4242 declined', 'card [card] declined'],
])('cleans "%s"', (text, clean) => {
  expect(scrub(text)).toBe(clean);
});

it.each(['order 018f3a1b-7c2d-7e11-9a55-0242ac120002 is late', '20260101123456 migrated', 'sku AB_12 @ 3 units', '1700000000000 ms'])('leaves "%s" alone', (text) => {
  expect(scrub(text)).toBe(text);
});

it.each([
  ['flat 1 5555 5555 5555 4444', 'flat 1 [card]'],
  ['5555 5555 5555 4444 2 or 3', '[card] 2 or 3'],
  ['4242424242424242 5555555555554444', '[card] [card]'],
])('finds the card among other numbers: "%s"', (text, clean) => {
  expect(hideCards(text)).toBe(clean);
});

it('takes card numbers alone out of what people type', () => {
  expect(hideCards('Ann <ann@example.com>, 3782-822463-10005, or 4242424242424242')).toBe('Ann <ann@example.com>, [card], or [card]');
});

it('takes no longer for hostile text than for any other', () => {
  const started = performance.now();
  scrub(`${'a'.repeat(100_000)}@${'b.'.repeat(50_000)}`);
  scrub('1 '.repeat(100_000));
  hideCards(`${'1 '.repeat(1_000)}x`);
  expect(performance.now() - started).toBeLessThan(500);
});
