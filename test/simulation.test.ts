// All five services' pure decisions under every accident that a seed can think of: what was promised holds, whatever happens in whatever order.
import { expect, test } from 'vitest';
import { explore, play, report } from './simulation/explore.ts';
import { type Profile, PROFILES } from './simulation/moves.ts';
import { REGRESSIONS } from './simulation/regressions.ts';
import { RULES } from './simulation/rules.ts';
import { SABOTAGES } from './simulation/sabotages.ts';
import type { World } from './simulation/world.ts';

/** MILLRACE_RUNS looks further, MILLRACE_SEED elsewhere; a failure prints its seed, and the shortest schedule that shows it. */
const RUNS = Number(process.env['MILLRACE_RUNS'] ?? 3_000);
const SEED = Number(process.env['MILLRACE_SEED'] ?? 1);
/** A shared machine plays some hundred schedules a second, a quiet one two thousand. */
const LIMIT_MS = 30_000 + RUNS * 20;
/** The rarest of the sabotages needs some thousand schedules to show. */
const SABOTAGED_RUNS = 20_000;

// Nobody reads the stacks of simulated refusals, and collecting them takes longer than the decisions.
Error.stackTraceLimit = 0;

/** What broke, and how; undefined when nothing did. */
function search(options: { runs: number; profile?: Profile; rules?: typeof RULES }): string | undefined {
  const started = performance.now();
  const found = explore({ seed: SEED, ...options });
  if (found) return report(found);
  console.log(`${options.runs} schedules from seed ${SEED} held, ${Math.round(options.runs / ((performance.now() - started) / 1_000))} a second`);
  return undefined;
}

test.each(REGRESSIONS)('$title', ({ schedule }) => {
  expect(play(schedule).orders.all().length).toBeGreaterThan(0);
});

test('whatever happens in whatever order, nothing is oversold, charged twice, lost or mailed twice, and everything settles', () => {
  expect(search({ runs: RUNS })).toBeUndefined();
}, LIMIT_MS);

test.each([PROFILES.E15, PROFILES.E21])('so it is when $name', (profile) => {
  expect(search({ runs: Math.ceil(RUNS / 3), profile })).toBeUndefined();
}, LIMIT_MS);

test('even services that forget which events they have heard do nothing twice', () => {
  expect(search({ runs: Math.ceil(RUNS / 6), rules: { ...RULES, house: { ...RULES.house, inbox: false } } })).toBeUndefined();
}, LIMIT_MS);

test.each(SABOTAGES)('the simulation notices when $title', ({ rules, breaks, profile }) => {
  const found = explore({ runs: SABOTAGED_RUNS, seed: 1, rules, ...(profile && { profile }) });
  expect(found?.problem).toMatch(breaks);
  expect(found?.trace.length).toBeGreaterThan(0);
}, LIMIT_MS);

test('the schedules reach what they are meant to test', () => {
  const seen = new Set<string>();
  const see = (what: string, yes: boolean): void => void (yes && seen.add(what));
  const look = (world: World): void => {
    const { orders, payment, inventory, stage, notification } = world;
    for (const order of orders.all()) {
      const { payment: money, refunds } = payment.row(order.orderId) ?? { payment: undefined, refunds: [] };
      const reservation = inventory.reservation(order.orderId);
      for (const what of [order.state, order.paymentState, reservation?.state ?? '', order.cancelCause]) see(what, true);
      see('paid and cancelled', order.state === 'CANCELLED' && order.payment.captured > 0n);
      see('paid after a decline', (money?.attempts ?? 0) > 1 && money?.state === 'SUCCEEDED');
      see('a stored error of the provider got round', (money?.generation ?? 0) > 0 && money?.state === 'SUCCEEDED');
      see('disputed', money?.disputeId !== undefined && money.disputeId !== '');
      see('a refund refused', refunds.some(({ state }) => state === 'FAILED'));
      see('sold after the hold was lost', reservation?.state === 'COMMITTED' && stage.said.some((event) => event.type === 'released' && event.orderId === order.orderId));
      see('put back in part', reservation?.state === 'COMMITTED' && Object.keys(reservation.returns).length > 0);
    }
    for (const row of notification.rows()) see(`message ${row.state}`, row.state !== 'failed');
    see('a message looked up and sent again', notification.rows().some(({ attempts, state }) => attempts > 1 && state === 'sent'));
    see('one request id, two bodies', orders.journal.some(({ body, outcome }) => body === 1 && outcome === 'fail'));
  };
  for (const profile of Object.values(PROFILES)) explore({ runs: 1_200, seed: 1, profile, look });
  expect([...seen].filter((what) => what !== '').toSorted()).toEqual([
    'BUYER', 'CANCELLED', 'COMMITTED', 'CONFIRMED', 'EXPIRED', 'FULFILLED', 'OUT_OF_STOCK', 'PAID', 'PARTIALLY_REFUNDED', 'REFUNDED', 'RELEASED', 'RESTOCKED', 'UNPAID',
    'a message looked up and sent again', 'a refund refused', 'a stored error of the provider got round', 'disputed', 'message bounced', 'message delivered',
    'message sent', 'message suppressed', 'one request id, two bodies', 'paid after a decline', 'paid and cancelled', 'put back in part', 'sold after the hold was lost',
  ]);
}, LIMIT_MS);
