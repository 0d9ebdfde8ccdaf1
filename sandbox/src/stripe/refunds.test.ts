import { expect, test } from 'vitest';
import { CARD, eventually, paid, rejection, sandbox } from '../../test/harness.ts';

test('refunds add up to the charge and not beyond', async () => {
  const { stripe, get } = await sandbox();
  const intent = await stripe.paymentIntents.create(paid('o1'));
  const first = await stripe.refunds.create({ payment_intent: intent.id, amount: 500, metadata: { why: 'broken' }, expand: ['charge'] });
  expect(first).toMatchObject({ object: 'refund', status: 'succeeded', amount: 500, payment_intent: intent.id, metadata: { why: 'broken' }, charge: { amount_refunded: 500, refunded: false } });
  expect(await rejection(stripe.refunds.create({ payment_intent: intent.id, amount: 701 }))).toMatchObject({
    statusCode: 400,
    param: 'amount',
    message: 'Refund amount ($7.01) is greater than unrefunded amount on charge ($7.00)',
  });
  const rest = await stripe.refunds.create({ charge: intent.latest_charge as string, reason: 'requested_by_customer' });
  expect(rest.amount).toBe(700);
  expect(await rejection(stripe.refunds.create({ payment_intent: intent.id }))).toMatchObject({ statusCode: 400, code: 'charge_already_refunded' });

  expect(await stripe.charges.retrieve(intent.latest_charge as string)).toMatchObject({ amount_refunded: 1200, refunded: true });
  expect((await stripe.refunds.list({ payment_intent: intent.id })).data.map((refund) => refund.id)).toEqual([rest.id, first.id]);
  expect((await stripe.refunds.list({ created: { gte: 4_000_000_000 } })).data).toEqual([]);
  expect((await get<unknown[]>('/ledger/stripe'))).toMatchObject([
    { type: 'captured', amount: 1200, order_id: 'o1' },
    { type: 'refunded', amount: 500, order_id: 'o1' },
    { type: 'refunded', amount: 700, order_id: 'o1' },
  ]);
});

test('what was not paid cannot be refunded', async () => {
  const { stripe } = await sandbox();
  const open = await stripe.paymentIntents.create(CARD);
  expect(await rejection(stripe.refunds.create({ payment_intent: open.id }))).toMatchObject({ statusCode: 400, message: 'This PaymentIntent does not have a successful charge to refund.' });
  expect(await rejection(stripe.refunds.create({ payment_intent: 'pi_unknown' }))).toMatchObject({ code: 'resource_missing' });
  expect(await rejection(stripe.refunds.create({}))).toMatchObject({ statusCode: 400 });
  expect(await rejection(stripe.refunds.retrieve('re_unknown'))).toMatchObject({ statusCode: 404 });
});

test('a pending refund settles later; one that fails gives the amount back to the charge', async () => {
  const { stripe, get } = await sandbox();
  const slow = await stripe.paymentIntents.create(paid('slow', 'pm_card_pendingRefund'));
  const bad = await stripe.paymentIntents.create(paid('bad', 'pm_card_refundFail'));
  const refunds = [await stripe.refunds.create({ payment_intent: slow.id }), await stripe.refunds.create({ payment_intent: bad.id })];
  expect(refunds.map((refund) => refund.status)).toEqual(['pending', 'pending']);
  await eventually(async () => (await stripe.refunds.retrieve(refunds[0]?.id as string)).status === 'succeeded');
  await eventually(async () => (await stripe.refunds.retrieve(refunds[1]?.id as string)).status === 'failed');
  expect((await stripe.charges.retrieve(bad.latest_charge as string)).amount_refunded).toBe(0);
  const refunded = (await get<{ type: string; order_id: string }[]>('/ledger/stripe')).filter((row) => row.type === 'refunded');
  expect(refunded.map((row) => row.order_id)).toEqual(['slow']);
});

test('a disputed charge cannot be refunded, and evidence decides the dispute', async () => {
  const { stripe, get } = await sandbox();
  const intent = await stripe.paymentIntents.create(paid('o1', 'pm_card_createDispute'));
  expect(intent.status).toBe('succeeded');
  const [dispute] = (await stripe.disputes.list({ payment_intent: intent.id })).data;
  expect(dispute).toMatchObject({ object: 'dispute', amount: 1200, reason: 'fraudulent', status: 'needs_response' });
  expect(await rejection(stripe.refunds.create({ payment_intent: intent.id }))).toMatchObject({ code: 'charge_disputed' });
  const id = dispute?.id as string;
  expect(await stripe.disputes.update(id, { evidence: { uncategorized_text: 'winning_evidence' } })).toMatchObject({ status: 'won' });
  expect(await rejection(stripe.disputes.close(id))).toMatchObject({ statusCode: 400 });
  expect(await get<unknown[]>('/ledger/stripe')).toMatchObject([{ type: 'captured' }, { type: 'disputed', order_id: 'o1', amount: 1200 }]);
});
