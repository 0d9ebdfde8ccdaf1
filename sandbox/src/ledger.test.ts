import { expect, test } from 'vitest';
import { CARD, paid, sandbox } from '../test/harness.ts';

test('the ledger tells what became of the money, oldest first', async () => {
  const { stripe, get } = await sandbox();
  const intent = await stripe.paymentIntents.create(paid('o1'));
  await stripe.paymentIntents.create({ ...paid('o2', 'pm_card_chargeDeclined'), currency: 'eur' }).catch(() => undefined);
  await stripe.paymentIntents.cancel((await stripe.paymentIntents.create({ ...CARD, metadata: { order_id: 'o3' } })).id);
  await stripe.refunds.create({ payment_intent: intent.id, amount: 200 });
  await stripe.paymentIntents.create({ ...CARD, payment_method: 'pm_card_visa', confirm: true });
  const rows = await get<Record<string, unknown>[]>('/ledger/stripe');
  expect(rows.map(({ type, order_id, amount, currency }) => [type, order_id, amount, currency])).toEqual([
    ['captured', 'o1', 1200, 'usd'],
    ['declined', 'o2', 1200, 'eur'],
    ['canceled', 'o3', 1200, 'usd'],
    ['refunded', 'o1', 200, 'usd'],
    ['captured', null, 1200, 'usd'],
  ]);
  expect(rows[0]).toMatchObject({ payment_intent: intent.id, time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) });
  expect(await get('/ledger/stripe?after=3')).toEqual(rows.slice(3));
  expect(await get('/ledger/stripe?after=99')).toEqual([]);
  expect(await get('/ledger/stripe?after=-1')).toHaveProperty('error');
});

test('a long ledger is whole, and others are served while it is read', async () => {
  const { stripe, get } = await sandbox();
  await Promise.all(Array.from({ length: 1000 }, (_, i) => stripe.paymentIntents.create(paid(`o${i}`))));
  const [rows] = await Promise.all([get<{ order_id: string }[]>('/ledger/stripe'), stripe.paymentIntents.create(CARD)]);
  expect(new Set(rows.map((row) => row.order_id)).size).toBe(1000);
  expect(rows).toHaveLength(1000);
});

test('mails are listed with their texts, or without', async () => {
  const { postmark, get } = await sandbox();
  await postmark.sendEmail({ From: 'shop@example.com', To: 'ada@example.com', Subject: 'Hello', TextBody: 'text', HtmlBody: '<p>html</p>', Metadata: { order_id: 'o1', kind: 'refund' } });
  const [row] = await get<Record<string, unknown>[]>('/ledger/postmark');
  expect(row).toMatchObject({ order_id: 'o1', html: '<p>html</p>', text: 'text' });
  const { html: _html, text: _text, ...rest } = row ?? {};
  expect(await get('/ledger/postmark?bodies=false')).toEqual([rest]);
});
