import { expect, it } from 'vitest';
import { signedByTwilio } from './twilio.ts';

// Twilio's own example.
const url = 'https://mycompany.com/myapp.php?foo=1&bar=2';
const fields = { CallSid: 'CA1234567890ABCDE', Caller: '+14158675309', Digits: '1234', From: '+14158675309', To: '+18005551212' };
const signature = 'RSOYDt4T1cUTdK1PDd93/VVr8B8=';

it('takes what Twilio signed, in whatever order the fields come', () => {
  expect(signedByTwilio('12345', url, new URLSearchParams(fields), signature)).toBe(true);
  expect(signedByTwilio('12345', url, new URLSearchParams(Object.entries(fields).reverse()), signature)).toBe(true);
});

it.each([
  ['another field', new URLSearchParams({ ...fields, Digits: '1235' }), url, signature, '12345'],
  ['one field more', new URLSearchParams({ ...fields, MessageStatus: 'failed' }), url, signature, '12345'],
  ['another URL', new URLSearchParams(fields), `${url}&notification_id=x`, signature, '12345'],
  ['another token', new URLSearchParams(fields), url, signature, '54321'],
  ['no signature', new URLSearchParams(fields), url, null, '12345'],
  ['half a signature', new URLSearchParams(fields), url, 'RSOYDt4T', '12345'],
])('refuses %s', (_title, form, called, signed, token) => {
  expect(signedByTwilio(token, called, form, signed)).toBe(false);
});
