import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CARD, sandbox } from '../../test/harness.ts';

interface Row {
  type: string;
  payment_intent: string;
  amount: number;
}

test('whatever is asked in whatever order, the ledger stays true: one capture at most, refunds within it, nothing after a cancel', async () => {
  const { stripe, post, get } = await sandbox();
  const method = fc.constantFrom('pm_card_visa', 'pm_card_visa', 'pm_card_chargeDeclined', 'pm_card_authenticationRequired', 'pm_card_createDispute');
  const step = fc.oneof(
    fc.record({ do: fc.constant('confirm' as const), method, key: fc.constantFrom('a', 'b', undefined) }),
    fc.record({ do: fc.constant('refund' as const), amount: fc.option(fc.integer({ min: 1, max: 1500 }), { nil: undefined }) }),
    fc.record({ do: fc.constantFrom('cancel' as const, 'succeed' as const, 'fail' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), fc.boolean(), async (steps, atOnce) => {
      const { id } = await stripe.paymentIntents.create(CARD);
      const before = (await get<Row[]>('/ledger/stripe')).length;
      const take = async (asked: (typeof steps)[number]): Promise<unknown> => {
        if (asked.do === 'confirm') return stripe.paymentIntents.confirm(id, { payment_method: asked.method }, asked.key ? { idempotencyKey: `${id}-${asked.key}` } : {});
        if (asked.do === 'refund') return stripe.refunds.create({ payment_intent: id, amount: asked.amount });
        if (asked.do === 'cancel') return stripe.paymentIntents.cancel(id);
        return post('/control/stripe/authenticate', { payment_intent: id, outcome: asked.do });
      };
      if (atOnce) await Promise.allSettled(steps.map(take));
      else for (const asked of steps) await take(asked).catch(() => undefined);

      const rows = await get<Row[]>(`/ledger/stripe?after=${before}`);
      const sum = (type: string) => rows.filter((row) => row.type === type).reduce((total, row) => total + row.amount, 0);
      const count = (type: string) => rows.filter((row) => row.type === type).length;
      expect(rows.every((row) => row.payment_intent === id)).toBe(true);
      expect(count('captured') + count('canceled')).toBeLessThanOrEqual(1);
      expect(sum('refunded')).toBeLessThanOrEqual(sum('captured'));
      const intent = await stripe.paymentIntents.retrieve(id, { expand: ['latest_charge'] });
      expect(intent.amount_received).toBe(sum('captured'));
      expect(intent.status === 'succeeded').toBe(count('captured') === 1);
      expect(intent.status === 'canceled').toBe(count('canceled') === 1);
      expect((intent.latest_charge as { amount_refunded: number } | null)?.amount_refunded ?? 0).toBe(sum('refunded'));
    }),
    { numRuns: 100 },
  );
});
