import { expect, test } from 'vitest';
import { eventually, receiver, rejection, sandbox, SECRETS } from '../../test/harness.ts';
import { signTwilio } from './webhook.ts';

const TEXT = { To: '+14155552671', From: '+15005550006', Body: 'Your order is on its way' };
const CALLBACK = 'http://127.0.0.1:9/webhooks/twilio?order_id=o1&kind=order_confirmed&notification_id=n1';

test('a message is queued, found again and shown in the ledger with the order of its callback', async () => {
  const { twilio, get } = await sandbox();
  const sent = await twilio('/Messages.json', { ...TEXT, StatusCallback: CALLBACK });
  expect(sent).toMatchObject({ status: 201, body: { status: 'queued', to: TEXT.To, sid: expect.stringMatching(/^SM[0-9a-f]{32}$/) } });
  const sid = sent.body['sid'] as string;
  expect(await get('/ledger/twilio')).toMatchObject([{ message_id: sid, to: TEXT.To, body: TEXT.Body, order_id: 'o1', kind: 'order_confirmed' }]);
  expect(await twilio(`/Messages/${sid}.json`)).toMatchObject({ status: 200, body: { sid, status: 'delivered', error_code: null } });
  await twilio('/Messages.json', { ...TEXT, To: '+14155550000' });
  expect((await twilio(`/Messages.json?To=${encodeURIComponent(TEXT.To)}`)).body).toMatchObject({ messages: [{ sid }], page: 0, next_page_uri: null });
  expect((await twilio('/Messages.json?PageSize=1')).body).toMatchObject({ messages: [{ to: '+14155550000' }], next_page_uri: expect.stringContaining('Page=1') });
});

test.each([
  [{ To: '12345' }, 400, 21211],
  [{ To: '+15005550001' }, 400, 21211],
  [{ To: '+15005550004' }, 400, 21610],
  [{ To: '+15005550009' }, 400, 21614],
  [{ From: '+15005550007' }, 400, 21606],
  [{ To: '' }, 400, 21604],
  [{ From: '' }, 400, 21603],
  [{ Body: '' }, 400, 21602],
  [{ Body: 'x'.repeat(1601) }, 400, 21617],
  [{ StatusCallback: 'nowhere' }, 400, 21609],
])('a message with %j is refused with %i, code %i', async (fields, status, code) => {
  const { twilio, get } = await sandbox();
  const refused = await twilio('/Messages.json', { ...TEXT, ...fields });
  expect(refused).toMatchObject({ status, body: { code, status, more_info: `https://www.twilio.com/docs/errors/${code}` } });
  expect(await get('/ledger/twilio')).toEqual([]);
});

test('wrong password, account, path and method are Twilio\'s own errors', async () => {
  const { url, twilio } = await sandbox();
  const wrong = await fetch(`${url}/2010-04-01/Accounts/${SECRETS.TWILIO_ACCOUNT_SID}/Messages.json`, { headers: { authorization: 'Basic eDp5' } });
  expect([wrong.status, await wrong.json()]).toEqual([401, expect.objectContaining({ code: 20003 })]);
  expect(await twilio('/Calls.json', {})).toMatchObject({ status: 404, body: { code: 20404 } });
  expect(await twilio('/Messages/SM1.json')).toMatchObject({ status: 404, body: { code: 20404 } });
  expect(await twilio('/Messages/SM1.json', {})).toMatchObject({ status: 405, body: { code: 20004 } });
  expect(await twilio('/Messages.json?PageSize=0')).toMatchObject({ status: 400 });
});

test('status callbacks are signed over URL and parameters', async () => {
  const hooks = await receiver();
  const { twilio } = await sandbox();
  const callback = `${hooks.url}/webhooks/twilio?order_id=o1`;
  await twilio('/Messages.json', { ...TEXT, StatusCallback: callback });
  await twilio('/Messages.json', { ...TEXT, To: '+15005550404', StatusCallback: callback });
  await eventually(() => hooks.received.length === 4);
  const told = hooks.received.map(({ body, headers }) => {
    const params = Object.fromEntries(new URLSearchParams(body));
    expect(headers['x-twilio-signature']).toBe(signTwilio(SECRETS.TWILIO_AUTH_TOKEN, callback, params));
    return `${params['MessageStatus']} ${params['ErrorCode'] ?? ''}`.trim();
  });
  expect(told.sort()).toEqual(['delivered', 'sent', 'sent', 'undelivered 30003']);
});

test('the signature is the one that Twilio documents', () => {
  // The example of twilio.com/docs/usage/security.
  const params = { CallSid: 'CA1234567890ABCDE', Caller: '+14158675309', Digits: '1234', From: '+14158675309', To: '+18005551212' };
  expect(signTwilio('12345', 'https://mycompany.com/myapp.php?foo=1&bar=2', params)).toBe('RSOYDt4T1cUTdK1PDd93/VVr8B8=');
});

test('faults answer as Twilio would', async () => {
  const { twilio, post, get } = await sandbox();
  const fault = (effect: object) => post('/control/faults', { provider: 'twilio', operation: 'messages.create', times: 1, ...effect });
  await fault({ effect: 'error', status: 429 });
  expect(await twilio('/Messages.json', TEXT)).toMatchObject({ status: 429, body: { code: 20429 } });
  await fault({ effect: 'decline' });
  expect(await twilio('/Messages.json', TEXT)).toMatchObject({ status: 400, body: { code: 21610 } });
  expect(await get('/ledger/twilio')).toEqual([]);
  await fault({ effect: 'lost_reply' });
  await rejection(twilio('/Messages.json', TEXT));
  expect((await twilio(`/Messages.json?To=${encodeURIComponent(TEXT.To)}`)).body['messages']).toHaveLength(1);
});
