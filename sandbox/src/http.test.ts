import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { CARD, sandbox, SECRETS } from '../test/harness.ts';

async function raw(url: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.setEncoding('utf8').on('data', (part: string) => (answer += part));
  socket.on('error', () => undefined);
  socket.end(bytes);
  await once(socket, 'close');
  return answer;
}

test('broken requests neither end the process nor disturb the next one', async () => {
  const { url, stripe } = await sandbox();
  const auth = `authorization: Bearer ${SECRETS.STRIPE_SECRET_KEY}\r\n`;
  const post = (body: string, type = 'application/x-www-form-urlencoded') =>
    `POST /v1/payment_intents HTTP/1.1\r\nhost: x\r\n${auth}content-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`;
  const statuses: string[] = [];
  for (const request of [
    'GET / HTTP/1.1\r\n\r\n',
    'nonsense\r\n\r\n',
    'GET http://[::bad/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    'GET /v1/%zz?%%% HTTP/1.1\r\nhost: %%%\r\nconnection: close\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    `GET /v1/payment_intents?limit=%ff HTTP/1.1\r\nhost: x\r\n${auth}connection: close\r\n\r\n`,
    post('amount=%zz'),
    post('a[b]=1&a=2'),
    post('a=1&a[b]=2'),
    post('[x]=1'),
    post(`a${'[b]'.repeat(50)}=1`),
    post(Array.from({ length: 1001 }, (_, i) => `k${i}=1`).join('&')),
    post('__proto__[x]=1&constructor=2'),
    post('metadata=plain&amount=1&currency=usd'),
    post('{"amount":1}', 'application/json'),
  ]) {
    statuses.push((await raw(url, request)).slice(9, 12));
  }
  expect(statuses).toEqual(['400', '400', '404', '401', '404', ...Array<string>(10).fill('400')]);
  expect((await stripe.paymentIntents.create(CARD)).status).toBe('requires_payment_method');
});

test('a body over one MiB is refused by each provider in its own words, announced or not', async () => {
  const { url } = await sandbox();
  const big = 'x'.repeat((1 << 20) + 1);
  const stripe = await fetch(`${url}/v1/payment_intents`, { method: 'POST', body: big, headers: { authorization: `Bearer ${SECRETS.STRIPE_SECRET_KEY}` } });
  expect([stripe.status, await stripe.json()]).toMatchObject([413, { error: { type: 'invalid_request_error' } }]);
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  const answer = await raw(url, `POST /email HTTP/1.1\r\nhost: x\r\nx-postmark-server-token: ${SECRETS.POSTMARK_SERVER_TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(20)}0\r\n\r\n`);
  expect(answer).toContain('413');
  expect(answer).toContain('"ErrorCode":413');
});

test('metadata may be named like anything, even like a prototype', async () => {
  const { stripe } = await sandbox();
  const metadata = Object.fromEntries([['__proto__', 'a'], ['constructor', 'b'], ['ключ', 'ü \u{1F600} + & = %']]);
  const intent = await stripe.paymentIntents.create({ ...CARD, metadata });
  expect(Object.entries((await stripe.paymentIntents.retrieve(intent.id)).metadata)).toEqual(Object.entries(metadata));
});

test('what a caller has given up is under way until it is carried out', async () => {
  const { url } = await sandbox();
  const underWay = async () => /^sandbox_requests_under_way (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1];
  await fetch(`${url}/control/faults`, { method: 'POST', body: JSON.stringify({ provider: 'stripe', effect: 'delay', delay_ms: 400 }) });
  await expect(fetch(`${url}/v1/payment_intents/pi_none`, { headers: { authorization: `Bearer ${SECRETS.STRIPE_SECRET_KEY}` }, signal: AbortSignal.timeout(100) })).rejects.toThrow('timeout');
  expect(await underWay()).toBe('1');
  await expect.poll(underWay).toBe('0');
});

test('health, readiness and metrics are answered', async () => {
  const { url, stripe } = await sandbox();
  await stripe.paymentIntents.create(CARD);
  for (const path of ['/healthz', '/readyz']) expect(await (await fetch(url + path)).text()).toBe('ok\n');
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('sandbox_requests_total{provider="stripe",status="200"} 1');
  expect(metrics).toContain('sandbox_payment_intents 1');
  expect((await fetch(`${url}/nothing`)).status).toBe(404);
  expect((await fetch(`${url}/ledger/paypal`)).status).toBe(404);
});
