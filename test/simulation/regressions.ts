// Schedules that once broke a promise, as the simulation printed them: they are played first, for ever.
import type { Schedule } from './moves.ts';

export const REGRESSIONS: readonly { title: string; schedule: Schedule }[] = [
  {
    title: 'a sender that died without an answer waits as long as one that got none, before it sends again',
    schedule: {
      scene: { stock: [4, 1], webhooks: true, searchLagMs: 0, slowMailMs: 40_000, shuffled: true },
      moves: [
        ['relay', 0, 0], ['deliver', 0, 0], ['deliver', 0, 0], ['order', 0, 7], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['relay', 0, 0],
        ['deliver', 1, 0], ['send', 0, 0], ['mishap', 0, 0], ['crash', 0, 0],
      ],
    },
  },
  {
    title: 'a repeat of PlaceOrder whose hold is refused is answered with the order of the call before it',
    schedule: {
      scene: { stock: [5, 1], webhooks: true, searchLagMs: 0, slowMailMs: 0, shuffled: true },
      moves: [
        ['relay', 0, 0], ['deliver', 0, 0], ['deliver', 0, 0], ['order', 1, 0], ['retry', 0, 0], ['go', 0, 0], ['go', 0, 0], ['go', 1, 0], ['go', 0, 0],
        ['release', 0, 0],
      ],
    },
  },
  {
    title: 'a payment is confirmed to the buyer, although the news of the order is a day late',
    schedule: {
      scene: { stock: [3, 2], webhooks: true, searchLagMs: 60_000, slowMailMs: 40_000, shuffled: false },
      moves: [
        ['relay', 0, 0], ['deliver', 0, 0], ['deliver', 0, 0], ['order', 0, 0], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['relay', 0, 0], ['deliver', 0, 0],
        ['work', 0, 0], ['go', 0, 0], ['mishap', 0, 0], ['go', 0, 0], ['mishap', 0, 0], ['work', 0, 0], ['go', 7, 0], ['pass', 7, 0], ['send', 0, 0],
      ],
    },
  },
  {
    title: 'a worker that makes an intent and one that pays at once, side by side, charge once',
    schedule: {
      scene: { stock: [4, 1], webhooks: true, searchLagMs: 0, slowMailMs: 0, shuffled: true },
      moves: [
        ['relay', 0, 0], ['deliver', 0, 0], ['deliver', 0, 0], ['order', 0, 7], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['relay', 0, 0], ['deliver', 0, 0], ['go', 0, 0],
        ['deliver', 0, 0], ['send', 0, 0], ['pass', 3, 0], ['order', 0, 11], ['pay', 0, 0], ['work', 0, 0], ['crash', 5, 0], ['mishap', 8, 0], ['pass', 10, 0], ['work', 0, 0], ['mishap', 2, 0], ['go', 8, 0],
      ],
    },
  },
  {
    title: 'a webhook about an intent that was made under a spent key does not lead to a second one before the search can show the first',
    schedule: {
      scene: { stock: [6, 1], webhooks: true, searchLagMs: 60_000, slowMailMs: 0, shuffled: true },
      moves: [
        ['relay', 0, 0], ['deliver', 0, 0], ['deliver', 0, 0], ['order', 0, 4], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['relay', 0, 0], ['deliver', 0, 0], ['go', 0, 0],
        ['mishap', 0, 9], ['pass', 10, 0], ['work', 0, 0],
      ],
    },
  },
  {
    title: 'a search that was judged before another worker spent the key does not lead to a second intent',
    schedule: {
      scene: { stock: [4, 1], webhooks: true, searchLagMs: 60_000, slowMailMs: 40_000, shuffled: false },
      moves: [
        ['relay', 0, 0], ['deliver', 0, 0], ['deliver', 0, 0], ['order', 0, 5], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['go', 0, 0], ['relay', 0, 0], ['deliver', 0, 0], ['work', 0, 0],
        ['mishap', 0, 4], ['webhook', 0, 0], ['go', 0, 0], ['mishap', 0, 0], ['go', 0, 0], ['pass', 10, 0], ['work', 0, 0],
      ],
    },
  },
];
