import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { CARD, clients, dataFolder, paid, rejection, sandbox, SECRETS } from '../test/harness.ts';
import { startSandbox } from './main.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

async function processOn(folder: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [MAIN], { env: { PATH: process.env['PATH'], PORT: '0', SANDBOX_DATA: folder, ...SECRETS }, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    const entry = JSON.parse(line) as { msg: string; url: string; port: number };
    if (entry.msg === 'ready') return { child, url: entry.url };
  }
  throw new Error('it ended before it was ready');
}

test('killed in mid-work, it has after a restart everything that it had answered', async () => {
  const folder = dataFolder();
  const first = await processOn(folder);
  const { stripe } = clients(first.url);
  const acknowledged: string[] = [];
  const killed = new AbortController();
  const buyers = Array.from({ length: 8 }, async (_, buyer) => {
    for (let i = 0; !killed.signal.aborted; i++) {
      const intent = await stripe.paymentIntents.create(paid(`${buyer}-${i}`), { idempotencyKey: `k-${buyer}-${i}` }).catch(() => undefined);
      if (intent) acknowledged.push(intent.id);
      if (acknowledged.length === 200) first.child.kill('SIGKILL');
    }
  });
  await once(first.child, 'exit');
  killed.abort();
  await Promise.all(buyers);

  const second = await processOn(folder);
  const again = clients(second.url);
  const captured = await again.get<{ payment_intent: string; order_id: string }[]>('/ledger/stripe');
  expect(acknowledged.length).toBeGreaterThanOrEqual(200);
  const kept = new Set(captured.map((row) => row.payment_intent));
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
  expect(kept.size).toBe(captured.length);
  const { order_id: order, payment_intent: id } = captured[0] as { payment_intent: string; order_id: string };
  expect((await again.stripe.paymentIntents.create(paid(order), { idempotencyKey: `k-${order}` })).id).toBe(id);
});

test('SIGTERM stops it with exit code 0', async () => {
  const { child } = await processOn(dataFolder());
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('a restart keeps intents, keys, mails and texts, and goes on with new ids', async () => {
  const folder = dataFolder();
  const one = await sandbox({ SANDBOX_DATA: folder });
  const intent = await one.stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' });
  const mail = await one.postmark.sendEmail({ From: 'a@b.c', To: 'd@e.f', Subject: '', TextBody: 'hi', Metadata: { order_id: 'o1' } });
  await one.twilio('/Messages.json', { To: '+14155552671', From: '+15005550006', Body: 'hi' });
  await one.stop();

  const two = await sandbox({ SANDBOX_DATA: folder });
  expect((await two.stripe.paymentIntents.create(CARD, { idempotencyKey: 'k' })).id).toBe(intent.id);
  expect((await two.stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' })).status).toBe('succeeded');
  expect((await two.stripe.paymentIntents.create(CARD)).id).not.toBe(intent.id);
  expect(await two.get('/ledger/postmark')).toMatchObject([{ message_id: mail.MessageID }]);
  expect(await two.get('/ledger/twilio')).toHaveLength(1);
  expect((await two.postmark.getOutboundMessages({ count: 1, offset: 0, metadata_order_id: 'o1' })).Messages).toHaveLength(1);
});

test('half a line at the end of the journal is cut off; damage elsewhere is said plainly', async () => {
  const folder = dataFolder();
  const journal = join(folder, 'journal.jsonl');
  const one = await sandbox({ SANDBOX_DATA: folder });
  await one.stripe.paymentIntents.create(CARD);
  await one.stop();
  const { size } = statSync(journal);
  appendFileSync(journal, '{"at":17');
  const two = await sandbox({ SANDBOX_DATA: folder });
  expect((await two.stripe.paymentIntents.list()).data).toHaveLength(1);
  await two.stripe.paymentIntents.create(CARD);
  await two.stop();
  expect(readFileSync(journal, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line) as object)).toHaveLength(2);

  truncateSync(journal, size - 5);
  appendFileSync(journal, '\n{}\n');
  expect((await rejection(startSandbox({ ...two.env }))).message).toMatch(/journal\.jsonl is damaged at byte 0: repair or remove it/);
});

test('a folder in use, a taken port and missing settings are refused in plain words', async () => {
  const one = await sandbox();
  expect((await rejection(startSandbox(one.env))).message).toContain('is in use by the sandbox with process id');
  const port = new URL(one.url).port;
  expect((await rejection(startSandbox({ ...one.env, PORT: port, SANDBOX_DATA: dataFolder() }))).message).toBe(`port ${port} on 127.0.0.1 is taken: set PORT to a free one`);
  expect((await rejection(startSandbox({ ...one.env, SANDBOX_DATA: '/dev/null/data' }))).message).toContain('SANDBOX_DATA /dev/null/data cannot be used');
  const missing = await rejection(startSandbox({ PORT: 'x', STRIPE_WEBHOOK_URL: 'nowhere' }));
  for (const problem of ['SANDBOX_DATA is not set', 'STRIPE_SECRET_KEY is not set', 'TWILIO_AUTH_TOKEN is not set', 'PORT must be a port number', 'STRIPE_WEBHOOK_URL must be an http(s) URL']) {
    expect(missing.message).toContain(problem);
  }
});
