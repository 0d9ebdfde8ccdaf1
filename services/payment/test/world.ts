// A payment service on a real Postgres, a real NATS server and the sandbox, with order's events and the provider's webhooks coming in.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import { createServiceClient } from '@millrace/chassis/clients/service-client';
import { openDatabase, sql } from '@millrace/chassis/database/db';
import { type OutgoingEvent, event } from '@millrace/chassis/events/outbox';
import type { Running } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { CancelCause } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { OrderCancelledSchema, OrderPlacedSchema, OrderRefundRequestedSchema } from '@millrace/gen/millrace/order/v1/events_pb.js';
import { type Payment, PaymentService, PaymentState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { type Money, MoneySchema } from '@millrace/gen/millrace/type/v1/money_pb.js';
import { startSandbox } from '@millrace/sandbox';
import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { createDatabase, newFolder, startTestNats, type TestNats } from '../../../test/support/servers.ts';
import { testKeys } from '../../../test/support/tokens.ts';
import { startPayment } from '../src/main.ts';

export type LedgerRow = { type: string; payment_intent: string; order_id: string; amount: number; currency: string };
export type PaymentClient = Client<typeof PaymentService>;
export type World = Awaited<ReturnType<typeof openWorld>>;

const SECRET = 'whsec_test';
const WAIT_MS = 20_000;
export const eur = (minorUnits: bigint) => create(MoneySchema, { currencyCode: 'EUR', minorUnits });

/** Waits for a condition, with a deadline. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>, ms = WAIT_MS): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await pause(15);
  }
}

/** The endpoint that the sandbox knows; it hands on to whichever payment service runs, and remembers what it handed on. */
async function startHookProxy() {
  const seen: { body: string; signature: string; status: number }[] = [];
  const target = { url: '' };
  const server = http.createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString();
      const signature = String(request.headers['stripe-signature'] ?? '');
      const answer = await fetch(`${target.url}/webhooks/stripe`, { method: 'POST', body, headers: { 'stripe-signature': signature } }).catch(() => undefined);
      seen.push({ body, signature, status: answer?.status ?? 502 });
      response.writeHead(answer?.status ?? 502).end();
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, target, close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()) };
}

/** `run: false` leaves out the service: for tests that drive its parts by hand, or start it as a process. */
export async function openWorld({ run = true, reconcileInterval = '1h' } = {}) {
  const [database, nats, keys, hooks] = await Promise.all([createDatabase('payment'), startTestNats(), testKeys(), startHookProxy()]);
  const stop = new AbortController();
  const sandbox = await startSandbox({
    PORT: '0', SANDBOX_DATA: newFolder('sandbox'), LOG_LEVEL: 'error', STRIPE_SECRET_KEY: 'sk_test_1', STRIPE_WEBHOOK_SECRET: SECRET, STRIPE_WEBHOOK_URL: `${hooks.url}/`,
    POSTMARK_SERVER_TOKEN: 'x', TWILIO_ACCOUNT_SID: 'AC1', TWILIO_AUTH_TOKEN: 'x',
  });
  const env = {
    PORT: '0', LOG_LEVEL: process.env['PAYMENT_TEST_LOG'] ?? 'silent', MILLRACE_JWKS: keys.jwks, MILLRACE_TOKEN: await keys.token('payment', 'service'), DATABASE_URL: database.url, NATS_URL: nats.url('payment'),
    STRIPE_SECRET_KEY: 'sk_test_1', STRIPE_WEBHOOK_SECRET: SECRET, STRIPE_API_BASE: sandbox.url, RECONCILE_INTERVAL: reconcileInterval, STRIPE_SEARCH_LAG: '0ms',
  };
  const db = openDatabase(database.url, createLog('test', 'silent'));
  const say = await speaker(nats);
  let service: Running | undefined;
  const start = async (more: Record<string, string> = {}) => {
    service = await startPayment({ ...env, ...more }, stop.signal);
    hooks.target.url = service.url;
    return service;
  };
  if (run) await start();

  const control = async (path: string, body: object): Promise<void> => {
    const answer = await fetch(`${sandbox.url}/control/${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(await answer.text());
  };
  const client = async (subject: string, role: 'admin' | 'buyer', url = service?.url ?? ''): Promise<PaymentClient> =>
    createServiceClient(PaymentService, { url, token: await keys.token(subject, role), timeoutMs: 15_000 });
  const ledger = async (orderId?: string): Promise<LedgerRow[]> => {
    const rows = (await (await fetch(`${sandbox.url}/ledger/stripe`)).json()) as LedgerRow[];
    return orderId === undefined ? rows : rows.filter((row) => row.order_id === orderId);
  };

  return {
    db, env, hooks, sandbox, nats, keys, say, start, control, client, ledger,
    admin: run ? await client('admin', 'admin') : (undefined as never as PaymentClient),
    service: () => service,
    stripe: (path: string, form: Record<string, string> = {}) => stripeCall(sandbox.url, path, form),
    fault: (operation: string, effect: string, more: object = {}) => control('faults', { provider: 'stripe', operation, effect, ...more }),
    /** What was told, in order. */
    told: async (orderId: string): Promise<string[]> =>
      (await db.query<{ subject: string; aggregate_version: number }>(sql`SELECT subject, aggregate_version FROM outbox WHERE aggregate_id = ${orderId} ORDER BY position`))
        .map((row) => `${row.aggregate_version} ${row.subject.split('.')[1]}`),
    async [Symbol.asyncDispose]() {
      await service?.stop();
      await sandbox.stop();
      await hooks.close();
      await say.close();
      await nats.stop();
      await db.close();
      await database.drop();
    },
  };
}

/** Publishes as the order service does. */
async function speaker(nats: TestNats) {
  const connection = await nats.connect('order');
  const js = jetstream(connection);
  const say = async (...events: OutgoingEvent[]) => {
    await Promise.all(events.map(async (said) => {
      const h = headers();
      h.set('ce-id', said.eventId);
      h.set('ce-type', said.type);
      h.set('ce-time', new Date().toISOString());
      h.set('millrace-version', String(said.aggregateVersion));
      await js.publish(said.subject, said.body, { headers: h, timeout: 10_000 });
    }));
  };
  return Object.assign(say, { close: () => connection.close() });
}

const customer = { customerId: 'buyer' };
export const placed = (orderId: string, more: { paymentMethod?: string; total?: Money; paymentDueTime?: Timestamp } = {}) =>
  event(OrderPlacedSchema, { orderId, version: 1, customer, total: eur(2_500n), paymentMethod: 'pm_card_visa', paymentDueTime: timestampFromDate(new Date(Date.now() + 1_800_000)), ...more });
export const cancelled = (orderId: string) => event(OrderCancelledSchema, { orderId, version: 2, customer, total: eur(2_500n), cause: CancelCause.BUYER, reason: 'changed my mind' });
export const refundRequested = (orderId: string, refundId: string, amount: bigint) => event(OrderRefundRequestedSchema, { orderId, version: 3, refundId, amount: eur(amount), reason: 'damaged', actor: 'admin' });

export async function settled(client: PaymentClient, orderId: string, state: keyof typeof PaymentState, ok: (payment: Payment) => boolean = () => true): Promise<Payment> {
  let last: Payment | undefined;
  return until(`payment ${orderId} to be ${state}`, async () => {
    last = (await client.getPayment({ orderId }).catch(() => ({ payment: undefined }))).payment;
    return last?.state === PaymentState[state] && ok(last) && last;
  }).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${last && PaymentState[last.state]} ${JSON.stringify(last, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`);
  });
}

async function stripeCall(url: string, path: string, form: Record<string, string>): Promise<Record<string, unknown>> {
  const answer = await fetch(`${url}/v1/${path}`, { method: 'POST', headers: { authorization: 'Bearer sk_test_1' }, body: new URLSearchParams(form) });
  return (await answer.json()) as Record<string, unknown>;
}
