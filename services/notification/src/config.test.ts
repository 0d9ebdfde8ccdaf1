import { expect, it } from 'vitest';
import { readNotificationConfig, shopName } from './config.ts';

const env = {
  PORT: '0',
  DATABASE_URL: 'postgresql://u:p@127.0.0.1:1/x',
  NATS_URL: 'nats://u:p@127.0.0.1:1',
  MILLRACE_JWKS: '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"x"}]}',
  MILLRACE_TOKEN: 'a.b.c',
  POSTMARK_SERVER_TOKEN: 'p',
  POSTMARK_WEBHOOK_SECRET: 'w',
  MAIL_FROM: 'Mill Shop <shop@millrace.example>',
  TWILIO_ACCOUNT_SID: 'AC1',
  TWILIO_AUTH_TOKEN: 't',
  TWILIO_FROM: '+15005550006',
};

it('means the real providers unless told otherwise', () => {
  expect(readNotificationConfig(env)).toMatchObject({ POSTMARK_API_BASE: 'https://api.postmarkapp.com', TWILIO_API_BASE: 'https://api.twilio.com', ADMIN_EMAILS: [] });
  expect(readNotificationConfig({ ...env, ADMIN_EMAILS: 'a@x.example, b@x.example ,' }).ADMIN_EMAILS).toEqual(['a@x.example', 'b@x.example']);
});

it('names everything that is missing or wrong in one message', () => {
  const wrong = { ...env, MAIL_FROM: 'nobody', ADMIN_EMAILS: 'a@x.example,b', TWILIO_FROM: undefined, POSTMARK_API_BASE: 'ftp://x' };
  expect(() => readNotificationConfig(wrong)).toThrow(/POSTMARK_API_BASE is wrong[^]*MAIL_FROM is wrong[^]*ADMIN_EMAILS is wrong[^]*TWILIO_FROM is missing/);
});

it.each([
  ['Mill Shop <shop@millrace.example>', 'Mill Shop'],
  ['"Mill, Shop" <shop@millrace.example>', 'Mill, Shop'],
  ['shop@millrace.example', 'Millrace'],
  ['<shop@millrace.example>', 'Millrace'],
])('%s is called %s', (from, name) => {
  expect(shopName(from)).toBe(name);
});
