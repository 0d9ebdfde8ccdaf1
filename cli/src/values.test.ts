import { OrderState, OrderStateSchema } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { create } from '@bufbuild/protobuf';
import { MoneySchema } from '@millrace/gen/millrace/type/v1/money_pb.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UsageError } from './command.ts';
import { readEnums, readLine, readMoney, readPairs, readTime, showEnum, showMoney, showTime } from './values.ts';

test.each([
  ['19.99 EUR', 'EUR', 1999n],
  ['19.9EUR', 'EUR', 1990n],
  ['eur 19', 'EUR', 1900n],
  ['500 JPY', 'JPY', 500n],
  ['1.234 KWD', 'KWD', 1234n],
  ['-0.05 EUR', 'EUR', -5n],
])('%s is an amount', (text, currencyCode, minorUnits) => {
  expect(readMoney(text, '--price')).toEqual({ currencyCode, minorUnits });
});

test.each(['19,99 EUR', '19.999 EUR', '5.00 JPY', '19.99', 'EUR', '', '1e3 EUR', '99999999999999 EUR'])('"%s" is none', (text) => {
  expect(() => readMoney(text, '--price')).toThrow(UsageError);
});

test('every amount that is shown reads back as itself', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }), fc.constantFrom('EUR', 'JPY', 'KWD', 'XXX'), (minorUnits, currencyCode) => {
      const shown = showMoney(create(MoneySchema, { minorUnits, currencyCode }));
      expect(readMoney(shown, 'it')).toEqual({ minorUnits, currencyCode });
    }),
  );
});

test('times are ISO, days, or how long ago', () => {
  const now = Date.parse('2026-11-23T12:00:00Z');
  expect(showTime(readTime('2026-11-20', '--after', now))).toBe('2026-11-20T00:00:00Z');
  expect(showTime(readTime('2026-11-20T08:30:00+01:00', '--after', now))).toBe('2026-11-20T07:30:00Z');
  expect(showTime(readTime('90m', '--after', now))).toBe('2026-11-23T10:30:00Z');
  expect(showTime(readTime('2d', '--after', now))).toBe('2026-11-21T12:00:00Z');
  expect(() => readTime('yesterday', '--after', now)).toThrow('--after must be a time');
});

test('states are written as people like', () => {
  for (const word of ['pending_payment', 'PENDING_PAYMENT', 'pending-payment', 'ORDER_STATE_PENDING_PAYMENT']) expect(readEnums(OrderStateSchema, [word], '--state')).toEqual([OrderState.PENDING_PAYMENT]);
  expect(() => readEnums(OrderStateSchema, ['unspecified'], '--state')).toThrow('--state is one of pending_payment, confirmed, fulfilled, cancelled');
  expect([showEnum(OrderStateSchema, 1), showEnum(OrderStateSchema, 0), showEnum(OrderStateSchema, 99)]).toEqual(['pending payment', '', '99']);
});

test('lines are SKU or SKU:QUANTITY', () => {
  expect([readLine('mug'), readLine('t-shirt.L_2:12')]).toEqual([{ sku: 'mug', quantity: 1 }, { sku: 't-shirt.L_2', quantity: 12 }]);
  for (const text of ['mug:0', 'mug:-1', 'mug:1.5', 'a b', ':3', 'mug:']) expect(() => readLine(text)).toThrow(UsageError);
});

test('attributes are NAME=VALUE, and a value may hold an equals sign', () => {
  expect(readPairs(['colour=blue', 'formula=a=b'], '--attribute')).toEqual({ colour: 'blue', formula: 'a=b' });
  expect(() => readPairs(['colour'], '--attribute')).toThrow('--attribute must be NAME=VALUE');
});
