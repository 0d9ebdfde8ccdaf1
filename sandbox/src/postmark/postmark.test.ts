import { expect, test } from 'vitest';
import { eventually, receiver, rejection, sandbox, SECRETS } from '../../test/harness.ts';

const MAIL = { From: 'Shop <shop@example.com>', To: 'Ada <ada@example.com>', Subject: 'Thanks', HtmlBody: '<b>hello</b>', TextBody: 'hello', MessageStream: 'outbound' };

test('a mail is accepted, found by its metadata and shown in the ledger', async () => {
  const { postmark, get } = await sandbox();
  const sent = await postmark.sendEmail({ ...MAIL, Tag: 'order', Metadata: { order_id: 'o1', kind: 'order_confirmation', notification_id: 'n1' } });
  expect(sent).toMatchObject({ ErrorCode: 0, Message: 'OK', To: MAIL.To });
  expect(await get('/ledger/postmark')).toMatchObject([
    { message_id: sent.MessageID, to: MAIL.To, subject: 'Thanks', order_id: 'o1', kind: 'order_confirmation', html: '<b>hello</b>', text: 'hello' },
  ]);
  const found = await postmark.getOutboundMessages({ count: 10, offset: 0, metadata_order_id: 'o1', metadata_kind: 'order_confirmation' });
  expect(found).toMatchObject({ TotalCount: 1, Messages: [{ MessageID: sent.MessageID, Metadata: { notification_id: 'n1' }, Recipients: ['ada@example.com'] }] });
  expect(await postmark.getOutboundMessageDetails(sent.MessageID)).toMatchObject({ HtmlBody: '<b>hello</b>', TextBody: 'hello', MessageEvents: [{ Type: 'Delivered' }] });
});

test('search filters by recipient, metadata and tag, and pages', async () => {
  const { postmark } = await sandbox();
  for (let i = 0; i < 5; i++) await postmark.sendEmail({ ...MAIL, To: `Buyer${i % 2}@example.com`, Tag: `t${i % 2}`, Metadata: { n: String(i) } });
  const total = async (filter: object) => Number((await postmark.getOutboundMessages({ count: 50, offset: 0, ...filter })).TotalCount);
  expect(await total({})).toBe(5);
  expect(await total({ recipient: 'buyer0@example.com' })).toBe(3);
  expect(await total({ recipient: 'buyer0@example.com', metadata_n: '1' })).toBe(0);
  expect(await total({ tag: 't1' })).toBe(2);
  const page = await postmark.getOutboundMessages({ count: 2, offset: 1 });
  expect(page.Messages.map((message) => message.Metadata['n'])).toEqual(['3', '2']);
  expect(await rejection(postmark.getOutboundMessages({ count: 501, offset: 0 }))).toMatchObject({ statusCode: 422 });
});

test('a batch has an outcome per message', async () => {
  const { postmark, get } = await sandbox();
  const outcomes = await postmark.sendEmailBatch([
    { ...MAIL, Metadata: { order_id: 'o1' } },
    { ...MAIL, To: 'nobody' },
    { ...MAIL, To: 'gone@bounced.test' },
    { ...MAIL, Metadata: { order_id: 'o2' } },
  ]);
  expect(outcomes.map((outcome) => outcome.ErrorCode)).toEqual([0, 300, 406, 0]);
  expect((await get<{ order_id: string }[]>('/ledger/postmark')).map((row) => row.order_id)).toEqual(['o1', 'o2']);
  expect(await rejection(postmark.sendEmailBatch(Array.from({ length: 501 }, () => MAIL)))).toMatchObject({ statusCode: 422, code: 410 });
});

test.each([
  [{ To: 'no-at-sign' }, 300],
  [{ To: 'a@b.c, broken@' }, 300],
  [{ To: 'a@b.c\r\nBcc: everyone@example.com' }, 300],
  [{ To: '' }, 300],
  [{ From: '' }, 300],
  [{ Subject: 'a\r\nBcc: x@y.z' }, 300],
  [{ HtmlBody: undefined, TextBody: undefined }, 300],
  [{ To: Array.from({ length: 51 }, (_, i) => `a${i}@b.c`).join(',') }, 300],
  [{ Metadata: { 'a name that is much too long': 'x' } }, 300],
  [{ Metadata: { note: 'x'.repeat(81) } }, 300],
  [{ Metadata: { n: 1 } }, 403],
  [{ HtmlBody: 7 }, 403],
  [{ To: 'someone@bounced.test' }, 406],
])('a message with %j is refused with error %i', async (fields, code) => {
  const { postmark, get } = await sandbox();
  expect(await rejection(postmark.sendEmail({ ...MAIL, ...fields } as never))).toMatchObject({ statusCode: 422, code });
  expect(await get('/ledger/postmark')).toEqual([]);
});

test('several recipients with names and quotes are understood', async () => {
  const { postmark, get } = await sandbox();
  const to = '"Ada, Countess" <Ada@Example.com>, bob@example.com';
  await postmark.sendEmail({ ...MAIL, To: to });
  expect(await get('/ledger/postmark')).toMatchObject([{ to }]);
  expect((await postmark.getOutboundMessages({ count: 1, offset: 0, recipient: 'ada@example.com' })).Messages[0]?.Recipients).toEqual(['ada@example.com', 'bob@example.com']);
});

test('wrong token, path, method, type and JSON are Postmark\'s own errors', async () => {
  const { url } = await sandbox();
  const call = async (path: string, init: { method: string; body?: string; headers?: Record<string, string> }) => {
    const response = await fetch(url + path, { ...init, headers: { 'x-postmark-server-token': SECRETS.POSTMARK_SERVER_TOKEN, 'content-type': 'application/json', ...init.headers } });
    return [response.status, ((await response.json()) as { ErrorCode: number }).ErrorCode];
  };
  expect(await call('/email', { method: 'POST', body: '{}', headers: { 'x-postmark-server-token': 'wrong' } })).toEqual([401, 10]);
  expect(await call('/email', { method: 'POST', body: '{' })).toEqual([422, 402]);
  expect(await call('/email', { method: 'POST', body: '[]' })).toEqual([422, 403]);
  expect(await call('/email/batch', { method: 'POST', body: '{}' })).toEqual([422, 403]);
  expect(await call('/email', { method: 'POST', body: '{}', headers: { 'content-type': 'text/plain' } })).toEqual([415, 409]);
  expect(await call('/email', { method: 'GET' })).toEqual([405, 405]);
  expect(await call('/email/withTemplate', { method: 'POST', body: '{}' })).toEqual([404, 404]);
  expect(await call('/bounces', { method: 'GET' })).toEqual([404, 404]);
  expect(await call('/email', { method: 'POST', body: `"${'x'.repeat(1 << 20)}"` })).toEqual([413, 413]);
});

test('deliveries and bounces are told with the agreed password, and a hard bounce stops the address', async () => {
  const hooks = await receiver();
  const { postmark, post } = await sandbox({ POSTMARK_WEBHOOK_URL: `${hooks.url}/webhooks/postmark` });
  const good = await postmark.sendEmail({ ...MAIL, Metadata: { order_id: 'o1' } });
  const bad = await postmark.sendEmail({ ...MAIL, To: 'hardbounce@example.com' });
  await postmark.sendEmail({ ...MAIL, To: 'softbounce@example.com' });
  await eventually(() => hooks.received.length === 3);
  const told = hooks.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  expect(told).toEqual(expect.arrayContaining([
    expect.objectContaining({ RecordType: 'Delivery', MessageID: good.MessageID, Recipient: 'ada@example.com', Metadata: { order_id: 'o1' } }),
    expect.objectContaining({ RecordType: 'Bounce', Type: 'HardBounce', TypeCode: 1, MessageID: bad.MessageID, Email: 'hardbounce@example.com', Inactive: true }),
    expect.objectContaining({ RecordType: 'Bounce', Type: 'SoftBounce', TypeCode: 4096 }),
  ]));
  const password = Buffer.from(`postmark:${SECRETS.POSTMARK_WEBHOOK_SECRET}`).toString('base64');
  expect(hooks.received.map(({ headers }) => headers.authorization)).toEqual(Array(3).fill(`Basic ${password}`));
  expect(await rejection(postmark.sendEmail({ ...MAIL, To: 'hardbounce@example.com' }))).toMatchObject({ code: 406 });

  await post('/control/webhooks', { mode: 'forge', copies: 2 });
  await postmark.sendEmail(MAIL);
  await eventually(() => hooks.received.length === 6);
  expect(hooks.received.slice(3).filter(({ headers }) => headers.authorization === `Basic ${password}`)).toHaveLength(1);
});

test('faults answer as Postmark would', async () => {
  const { postmark, post, get } = await sandbox();
  const fault = (effect: object) => post('/control/faults', { provider: 'postmark', times: 1, ...effect });
  await fault({ operation: 'email.send', effect: 'error', status: 429 });
  expect(await rejection(postmark.sendEmail(MAIL))).toMatchObject({ name: 'RateLimitExceededError', statusCode: 429 });
  await fault({ operation: 'email.batch', effect: 'error' });
  expect(await rejection(postmark.sendEmailBatch([MAIL]))).toMatchObject({ name: 'InternalServerError', statusCode: 500 });
  await fault({ operation: 'email.send', effect: 'decline' });
  expect(await rejection(postmark.sendEmail(MAIL))).toMatchObject({ code: 406 });
  expect(await get('/ledger/postmark')).toEqual([]);
  await fault({ operation: 'email.send', effect: 'lost_reply' });
  await rejection(postmark.sendEmail({ ...MAIL, Metadata: { notification_id: 'n1' } }));
  expect((await postmark.getOutboundMessages({ count: 1, offset: 0, metadata_notification_id: 'n1' })).Messages).toHaveLength(1);
});
