import { expect, it } from 'vitest';
import { callOutcome, cameBack, neverConnected, postmarkOutcome, twilioOutcome } from './provider-errors.ts';

it.each([
  ['taken', { ErrorCode: 0, Message: 'OK', MessageID: 'm1' }, 'sent'],
  ['taken without an id', { ErrorCode: 0, Message: 'OK' }, 'unknown'],
  ['an invalid address', { ErrorCode: 300, Message: 'Invalid email request' }, 'failed'],
  ['an inactive recipient', { ErrorCode: 406, Message: 'Inactive' }, 'suppressed'],
  ['no credits left', { ErrorCode: 405, Message: 'Not allowed to send' }, 'delayed'],
  ['a wrong server token', { ErrorCode: 10, Message: 'Bad token' }, 'delayed'],
])('Postmark: %s', (_title, answer, type) => {
  expect(postmarkOutcome(answer).type).toBe(type);
});

it.each([
  [400, 21211, 'failed'],
  [400, 21610, 'suppressed'],
  [401, 20003, 'delayed'],
  [429, 20429, 'delayed'],
  [503, undefined, 'delayed'],
  [500, undefined, 'unknown'],
  [0, undefined, 'unknown'],
])('Twilio: status %i with code %s', (status, code, type) => {
  expect(twilioOutcome(status, { ...(code ? { code } : {}), message: 'no' }).type).toBe(type);
});

it('waits as long as Twilio wishes', () => {
  expect(twilioOutcome(429, { code: 20429 }, 7_000)).toMatchObject({ type: 'delayed', pauseMs: 7_000 });
});

it.each([
  [503, 'delayed'],
  [401, 'delayed'],
  [422, 'delayed'],
  [408, 'unknown'],
  [500, 'unknown'],
  [504, 'unknown'],
  [0, 'unknown'],
])('a call that ended with status %i', (status, type) => {
  expect(callOutcome('Postmark', status, 'no').type).toBe(type);
});

it('knows a connection that never stood from one that broke', () => {
  const broke = (code: string) => new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code }) });
  expect(neverConnected(broke('ECONNREFUSED'))).toBe(true);
  expect(neverConnected(broke('ECONNRESET'))).toBe(false);
  expect(neverConnected(new DOMException('late', 'TimeoutError'))).toBe(false);
});

it('tells returned mail from auto-replies', () => {
  expect(['HardBounce', 'SpamComplaint', 'SoftBounce'].every(cameBack)).toBe(true);
  expect(['AutoResponder', 'Subscribe', 'AddressChange', 'Transient'].some(cameBack)).toBe(false);
});
