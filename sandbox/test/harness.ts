// What the sandbox's tests share: a sandbox on a free port with a folder of its own, the official SDKs pointed at it,
// and an endpoint that takes webhooks.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerClient } from 'postmark';
import { Stripe } from 'stripe';
import { onTestFinished } from 'vitest';
import { startSandbox } from '../src/main.ts';

export const SECRETS = {
  STRIPE_SECRET_KEY: 'sk_test_millrace',
  STRIPE_WEBHOOK_SECRET: 'whsec_millrace',
  POSTMARK_SERVER_TOKEN: 'postmark-token',
  POSTMARK_WEBHOOK_SECRET: 'postmark-webhook-secret',
  TWILIO_ACCOUNT_SID: 'AC00000000000000000000000000000001',
  TWILIO_AUTH_TOKEN: 'twilio-token',
};

export interface TestSandbox {
  url: string;
  env: Record<string, string>;
  stripe: Stripe;
  postmark: ServerClient;
  twilio: (path: string, form?: Record<string, string>) => Promise<{ status: number; body: Record<string, unknown> }>;
  get: <T = Record<string, unknown>>(path: string) => Promise<T>;
  post: (path: string, body: unknown) => Promise<{ status: number; body: Record<string, unknown> }>;
  stop: () => Promise<void>;
}

export function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function sandbox(more: Record<string, string> = {}): Promise<TestSandbox> {
  const env = { PORT: '0', LOG_LEVEL: 'error', ...SECRETS, SANDBOX_DATA: more['SANDBOX_DATA'] ?? dataFolder(), ...more };
  const running = await startSandbox(env);
  onTestFinished(() => running.stop());
  return { ...clients(running.url), env, stop: running.stop };
}

export function clients(url: string): Omit<TestSandbox, 'env' | 'stop'> {
  const { hostname, port } = new URL(url);
  const postmark = new ServerClient(SECRETS.POSTMARK_SERVER_TOKEN, { useHttps: false, requestHost: `${hostname}:${port}` });
  const account = `${url}/2010-04-01/Accounts/${SECRETS.TWILIO_ACCOUNT_SID}`;
  const login = Buffer.from(`${SECRETS.TWILIO_ACCOUNT_SID}:${SECRETS.TWILIO_AUTH_TOKEN}`).toString('base64');
  return {
    url,
    stripe: new Stripe(SECRETS.STRIPE_SECRET_KEY, { host: hostname, port: Number(port), protocol: 'http', maxNetworkRetries: 0, telemetry: false }),
    postmark,
    async twilio(path, form) {
      const response = await fetch(account + path, {
        method: form ? 'POST' : 'GET',
        headers: { authorization: `Basic ${login}` },
        ...(form && { body: new URLSearchParams(form) }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    async get<T>(path: string) {
      return (await (await fetch(url + path)).json()) as T;
    },
    async post(path, body) {
      const response = await fetch(url + path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
  };
}

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Receiver {
  url: string;
  received: Received[];
  /** The status of the next answers; a function sees the request. */
  answer: number | ((request: Received) => number);
  stop(): Promise<void>;
}

export async function receiver(port = 0): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8').on('data', (part: string) => (body += part));
    req.on('end', () => {
      const request = { path: req.url ?? '', headers: req.headers, body };
      received.push(request);
      res.writeHead(typeof self.answer === 'number' ? self.answer : self.answer(request)).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const self: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer: 200,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  onTestFinished(() => self.stop());
  return self;
}

const DEADLINE_MS = 10_000;

/** Waits until the condition gives something. */
export async function eventually<T>(condition: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not so within ${DEADLINE_MS} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The fields that the tests look at in the SDKs' errors. */
export interface Rejection extends Error {
  statusCode: number;
  headers: Record<string, string>;
  payment_intent: { id: string };
}

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<Rejection> {
  try {
    await promise;
  } catch (error) {
    return error as Rejection;
  }
  throw new Error('it was not rejected');
}

export const CARD = { amount: 1200, currency: 'usd', automatic_payment_methods: { enabled: true, allow_redirects: 'never' } } as const;

export const paid = (order: string, method = 'pm_card_visa') => ({ ...CARD, confirm: true, payment_method: method, metadata: { order_id: order } });
