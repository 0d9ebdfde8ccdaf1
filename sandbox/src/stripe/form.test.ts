import fc from 'fast-check';
import { expect, test } from 'vitest';
import { listOf, type Params, parseForm } from './form.ts';

test('nested brackets become nested objects, lists keep their order', () => {
  const params = parseForm('amount=12&metadata[order_id]=a%20b+c&expand[]=x&expand[]=y&list[0]=p&list[1]=q&a[b][c]=1');
  expect(JSON.parse(JSON.stringify(params))).toEqual({ amount: '12', metadata: { order_id: 'a b c' }, expand: { 0: 'x', 1: 'y' }, list: { 0: 'p', 1: 'q' }, a: { b: { c: '1' } } });
  expect(listOf(params['expand'])).toEqual(['x', 'y']);
  expect(listOf(undefined)).toEqual([]);
});

test('whatever flat form is sent is read back', () => {
  const name = fc.string({ minLength: 1, unit: 'binary' }).filter((text) => !/[[\]]/.test(text) && text.isWellFormed());
  fc.assert(
    fc.property(fc.dictionary(name, fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed())), (fields) => {
      const text = Object.entries(fields).map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join('&');
      expect(new Map(Object.entries(parseForm(text)))).toEqual(new Map(Object.entries(fields)));
    }),
  );
});

test('any text at all is either read or refused, nothing else', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '[', ']', '=', '&', '%', '+', '2', '_') }), (text) => {
      let params: Params | undefined;
      let refusal: unknown;
      try {
        params = parseForm(text);
      } catch (error) {
        refusal = error;
      }
      expect(params !== undefined || (refusal as Error).name === 'StripeRefusal').toBe(true);
    }),
    { numRuns: 2000 },
  );
});
