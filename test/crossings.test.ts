// Every crossing of two facts, in both orders: whichever is heard first, the service ends in the same state. A command that is
// refused because it came too early is given again, as its caller would. What then still differs is in the table of races, with the reason.
import { expect, test } from 'vitest';
import { ends, pairsOf } from './crossings/crossing.ts';
import { CASES, endOf } from './crossings/house.ts';
import * as inventory from './crossings/inventory.ts';
import * as notification from './crossings/notification.ts';
import * as order from './crossings/order.ts';
import * as payment from './crossings/payment.ts';

const PAIRS = [order.CROSSING, inventory.CROSSING, payment.CROSSING, notification.CROSSING].flatMap(pairsOf);

test.each(PAIRS.filter(({ race }) => race === undefined))('$crossing.service, $start: $one × $other', ({ crossing, start, one, other }) => {
  expect(ends(crossing, start, one, other)).toEqual(ends(crossing, start, other, one));
});

test.each(PAIRS.filter(({ race }) => race !== undefined))('$crossing.service, $start: $one × $other: $race', ({ crossing, start, one, other }) => {
  expect(ends(crossing, start, one, other)).not.toEqual(ends(crossing, start, other, one));
});

/** Of the letters about two things; there are some ten of them. */
const ARRIVALS = Array.from({ length: 12 }, (_, seed) => seed);

test.each(CASES)('the house, $start: $one, then $other: all services agree, in whatever order they hear of it', (crossed) => {
  const [first, ...others] = ARRIVALS.map((seed) => endOf(crossed, seed));
  for (const end of others) expect(end).toEqual(first);
});
