import { Code, ConnectError } from '@connectrpc/connect';
import { ErrorInfoSchema } from '@millrace/gen/google/rpc/error_details_pb.js';
import { expect, test } from 'vitest';
import { EXIT, describe, problemOf } from './problems.ts';

function refused(code: Code, reason: string, metadata: Record<string, string>, message = 'the message'): ConnectError {
  return new ConnectError(message, code, undefined, [{ desc: ErrorInfoSchema, value: { domain: 'millrace', reason, metadata } }]);
}

test.each([
  ['OUT_OF_STOCK', { sku: 'mug', requested: '9', available: '3' }, 'There is not enough mug: 9 wanted, 3 available.'],
  ['PRICE_CHANGED', { expected: '100', actual: '2100', currency: 'EUR' }, 'The total is 21.00 EUR now, not 1.00 EUR.'],
  ['REFUND_TOO_LARGE', { refundable: '500', currency: 'JPY' }, 'That is more than is left to refund: 500 JPY.'],
  ['A_REASON_OF_TOMORROW', {}, 'The message.'],
])('%s is told in plain words', (reason, metadata, words) => {
  const problem = problemOf(refused(Code.FailedPrecondition, reason, metadata));
  expect([problem.words, problem.exit]).toEqual([words, EXIT.refused]);
  expect(describe(problem)).toContain(`reason: ${reason}`);
});

test.each([Code.Unavailable, Code.DeadlineExceeded, Code.Canceled])('code %i means that nobody was reached', (code) => {
  expect(problemOf(new ConnectError('away', code)).exit).toBe(EXIT.unreachable);
});
