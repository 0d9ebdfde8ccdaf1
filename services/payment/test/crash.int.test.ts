// A crash at every point between what the provider does and what we write down: afterwards one capture, one refund, never two.
import { setTimeout as pause } from 'node:timers/promises';
import { spawn } from 'node:child_process';
import { type Database, sql } from '@millrace/chassis/database/db';
import { createLog } from '@millrace/chassis/telemetry/log';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { trackProcess } from '../../../test/support/servers.ts';
import { createAdvance } from '../src/advance-payment.ts';
import { recordAttempt } from '../src/confirm-payment.ts';
import { closePayments, openPayments } from '../src/open-payment.ts';
import { openRefunds } from '../src/refund-payment.ts';
import { type Item, settleHeld } from '../src/settle.ts';
import { claimDue } from '../src/store.ts';
import { createStripe, type Provider } from '../src/stripe.ts';
import { cancelled, openWorld, placed, settled, until, type World } from './world.ts';

let world: World;
let provider: Provider;
beforeAll(async () => {
  world = await openWorld({ run: false });
  provider = createStripe({ ...world.env, STRIPE_SEARCH_LAG: 0 });
});
afterAll(async () => {
  provider?.close();
  await world?.[Symbol.asyncDispose]();
});

class Crash extends Error {}
const POINTS = ['before the call', 'after the call', 'after it was stored'] as const;
const log = createLog('test', 'silent');
const order = (orderId: string, paymentMethod = 'pm_card_visa') => ({ orderId, customerId: 'buyer', amount: 2_500n, currency: 'EUR', paymentMethod, dueTime: new Date(Date.now() + 3_600_000) });

/** Works on everything that is due; dies at a point of the k-th step, if told to. Answers the steps taken. */
async function work(db: Database, crash?: { step: number; point: (typeof POINTS)[number] }): Promise<{ steps: string[]; crashed: boolean }> {
  const steps: string[] = [];
  const die = (point: (typeof POINTS)[number]) => {
    if (crash?.step === steps.length && crash.point === point) throw new Crash(point);
  };
  const store = async (item: Item) => {
    const [result] = await settleHeld(db, [item], () => {});
    die('after it was stored');
    return result;
  };
  const perform: Provider['perform'] = async (step, account) => {
    steps.push(step.do);
    die('before the call');
    const facts = await provider.perform(step, account);
    die('after the call');
    return facts;
  };
  const advance = createAdvance({ ...provider, perform }, store, log);
  let crashed = false;
  try {
    for (let claimed = await claimDue(db, 10); claimed.length > 0; claimed = await claimDue(db, 10)) for (const held of claimed) await advance(held);
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
    crashed = true;
  }
  return { steps, crashed };
}

/** The dead worker's lease runs out. */
const expireLeases = () => world.db.query(sql`UPDATE payment SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL`);

/** The steps of a payment's life: paid at once, or an intent for the browser first; a part's refund; the rest's. */
const WAYS = { 'at once': ['pay', 'refund', 'refund'], 'in the browser': ['create', 'confirm', 'refund', 'refund'] } as const;

for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
  for (const keysForgotten of [false, true]) {
    test.each(POINTS)(`a payment ${way}: a crash %s costs nothing, whichever step it is${keysForgotten ? ', even a day later' : ''}`, async (point) => {
      for (let step = 1; step <= WAYS[way].length; step += 1) {
        const orderId = `ord_${way}_${point}_${step}_${keysForgotten}`.replaceAll(' ', '_');
        const taken: string[] = [];
        let crashes = 0;
        const live = async () => {
          const { steps, crashed } = await work(world.db, { step: step - taken.length, point });
          taken.push(...steps);
          crashes += crashed ? 1 : 0;
          if (keysForgotten) await world.control('stripe/expire_keys', {});
          await expireLeases();
          await work(world.db);
        };
        await world.db.transaction((tx) => openPayments(tx, [order(orderId, way === 'at once' ? 'pm_card_visa' : '')], () => {}));
        await live();
        if (way === 'in the browser') {
          await world.db.transaction((tx) => recordAttempt(tx, orderId, 'pm_card_visa'));
          await live();
        }
        expect((await world.ledger(orderId)).map(({ type }) => type)).toEqual(['captured']);
        await world.db.transaction((tx) => openRefunds(tx, [{ orderId, refundId: `r_${orderId}`, amount: 1_000n, currency: 'EUR', reason: '' }], () => {}));
        await live();
        await world.db.transaction((tx) => closePayments(tx, [order(orderId)], () => {}));
        await live();
        expect((await world.ledger(orderId)).map(({ type, amount }) => [type, amount])).toEqual([['captured', 2_500], ['refunded', 1_000], ['refunded', 1_500]]);
        expect(await world.told(orderId)).toEqual(['2 succeeded', '3 refunded', '4 refunded']);
        expect(taken).toEqual(WAYS[way]);
        expect(crashes).toBe(1);
        const [row] = await world.db.query(sql`SELECT state, captured, refunded, refund_pending, next_attempt_time, lease_until, asking FROM payment WHERE order_id = ${orderId}`);
        expect(row).toEqual({ state: 'SUCCEEDED', captured: 2_500n, refunded: 2_500n, refund_pending: 0n, next_attempt_time: null, lease_until: null, asking: false });
      }
    });
  }
}

test('kill -9 of the service again and again loses no payment and captures none twice', async () => {
  const orders = Array.from({ length: 160 }, (_, i) => `ord_kill_${i}`);
  const [changed, kept] = [orders.slice(0, 60), orders.slice(60)];
  const count = async (rows: Promise<{ n: bigint }[]>) => Number((await rows)[0]?.n);
  const leased = () => count(world.db.query(sql`SELECT count(*) AS n FROM payment WHERE lease_until > now()`));
  const heard = () => count(world.db.query(sql`SELECT count(*) AS n FROM inbox`));
  // Slow enough that every kill hits calls in flight.
  await world.fault('*', 'delay', { delay_ms: 80 });
  const inFlight: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    const service = await startProcess();
    if (round === 0) await world.say(...orders.map((orderId) => placed(orderId)));
    if (round === 2) await world.say(...changed.map((orderId) => cancelled(orderId)));
    await until('work in flight', async () => (await heard()) === (round < 2 ? 160 : 220) && (await leased()) > 0);
    await pause(50 + round * 37);
    service.child.kill('SIGKILL');
    await service.gone;
    inFlight.push(await leased());
    await expireLeases();
  }
  expect(Math.min(...inFlight)).toBeGreaterThan(0);
  await world.control('reset', {});
  const { url } = await world.start();
  const admin = await world.client('admin', 'admin', url);
  for (const orderId of kept) await settled(admin, orderId, 'SUCCEEDED');
  await until('the cancelled to be closed', async () => (await count(world.db.query(sql`SELECT count(*) AS n FROM payment WHERE next_attempt_time IS NOT NULL`))) === 0);
  const ledger = await world.ledger();
  const types = (orderId: string) => ledger.filter((row) => row.order_id === orderId).map(({ type }) => type).join(' ');
  expect(new Set(kept.map(types))).toEqual(new Set(['captured']));
  expect(changed.map(types).filter((seen) => !['captured refunded', 'canceled', ''].includes(seen))).toEqual([]);
  expect(await count(world.db.query(sql`SELECT count(*) AS n FROM payment WHERE asking`)), 'a settled payment is not left in doubt').toBe(0);
  expect(await count(world.db.query(sql`SELECT count(*) AS n FROM payment WHERE captured - refunded <> CASE WHEN order_cancelled THEN 0 ELSE amount END`))).toBe(0);
}, 60_000);

async function startProcess(): Promise<{ child: ReturnType<typeof spawn>; gone: Promise<unknown> }> {
  const child = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname], { env: { ...process.env, ...world.env, LOG_LEVEL: 'info' }, stdio: ['ignore', 'pipe', 'inherit'] });
  trackProcess('payment', child.pid);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n').filter((text) => text.includes('"ready"'))) resolve((JSON.parse(line) as { port: number }).port);
    });
    child.once('exit', () => reject(new Error('the service did not start')));
  });
  world.hooks.target.url = `http://127.0.0.1:${port}`;
  return { child, gone };
}
