import { appendFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CARD, dataFolder, paid, sandbox } from '../../test/harness.ts';
import { compact } from './compact.ts';

const DAY = 24 * 3_600_000;

test('compaction drops old keys, events and states, and keeps records and ledgers', async () => {
  const folder = dataFolder();
  const path = join(folder, 'journal.jsonl');
  const one = await sandbox({ SANDBOX_DATA: folder });
  const intent = await one.stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' });
  for (let i = 0; i < 20; i++) await one.stripe.paymentIntents.update(intent.id, { metadata: { step: String(i) } });
  await one.stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' });
  const newer = await one.stripe.paymentIntents.create(paid('o2'));
  await one.stripe.refunds.create({ payment_intent: intent.id, amount: 5 });
  await one.postmark.sendEmail({ From: 'a@b.c', To: 'd@e.f', Subject: '', TextBody: 'hi' });
  const ledgers = { stripe: await one.get('/ledger/stripe'), postmark: await one.get('/ledger/postmark') };
  await one.stop();

  const before = statSync(path).size;
  expect(compact(path, Date.now() + 2 * DAY)).toBe(false); // small ones are left alone
  expect(compact(path, Date.now() + 31 * DAY, 1)).toBe(true);
  expect(statSync(path).size).toBeLessThan(before / 2);

  const two = await sandbox({ SANDBOX_DATA: folder });
  expect(await two.get('/ledger/stripe')).toEqual(ledgers.stripe);
  expect(await two.get('/ledger/postmark')).toEqual(ledgers.postmark);
  expect(await two.stripe.paymentIntents.retrieve(intent.id)).toMatchObject({ status: 'succeeded', metadata: { step: '19' } });
  expect((await two.stripe.paymentIntents.list()).data.map(({ id }) => id)).toEqual([newer.id, intent.id]);
  expect((await two.stripe.refunds.list({ payment_intent: intent.id })).data).toHaveLength(1);
  expect((await two.stripe.events.list()).data).toEqual([]);
  expect((await two.stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' })).id).not.toBe(intent.id);
});

test('a journal with little to drop is left as it is', async () => {
  const folder = dataFolder();
  const path = join(folder, 'journal.jsonl');
  const line = JSON.stringify({ at: Date.now(), ledger: [{ type: 'captured', payment_intent: 'pi_x', order_id: null, amount: 1, currency: 'usd' }] });
  appendFileSync(path, `${line}\n`.repeat(100));
  expect(compact(path, Date.now(), 1)).toBe(false);
  expect(statSync(path).size).toBe((line.length + 1) * 100);
});
