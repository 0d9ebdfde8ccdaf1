// The sandbox's composition root: stand-ins for Stripe, Postmark and Twilio on one port.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Environment, readConfig } from './config.ts';
import { createFaults } from './faults.ts';
import { listen } from './http.ts';
import { createLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { createPostmarkWebhooks } from './postmark/webhook.ts';
import { createRouter } from './router.ts';
import type { Sandbox } from './sandbox.ts';
import { openStore } from './store/store.ts';
import type { RenderContext } from './stripe/render.ts';
import { startSettler } from './stripe/settler.ts';
import { createStripeWebhooks } from './stripe/webhook.ts';
import { createTwilioWebhooks } from './twilio/webhook.ts';
import { createDeliveries } from './webhooks/deliver.ts';

export interface RunningSandbox {
  url: string;
  stop: () => Promise<void>;
}

export async function startSandbox(env: Environment, signal?: AbortSignal): Promise<RunningSandbox> {
  const config = readConfig(env);
  const log = createLog(env['LOG_LEVEL']);
  const store = openStore(config.dataFolder);
  const metrics = createMetrics();
  const faults = createFaults();
  const stopping = new AbortController();
  const render: RenderContext = { url: '', charge: (id) => store.charges.get(id), intent: (id) => store.intents.get(id) };

  const stripe = createStripeWebhooks(store, render, { url: config.stripe.webhookUrl, secret: config.stripe.webhookSecret });
  const postmark = createPostmarkWebhooks(store, { url: config.postmark.webhookUrl, secret: config.postmark.webhookSecret });
  const twilio = createTwilioWebhooks(store, config.twilio);
  const sourceOf = (hook: string) => (hook.startsWith('evt_') ? stripe : hook.startsWith('SM') ? twilio : postmark);
  const deliveries = createDeliveries(store, sourceOf, log, metrics);

  const sandbox: Sandbox = { config, log, store, faults, metrics, deliveries, render, now: monotonicClock(), signal: stopping.signal };
  const server = await listen(config.host, config.port, createRouter(sandbox), log).catch((error: unknown) => {
    store.close();
    throw error;
  });
  render.url = server.url;
  deliveries.start();
  const stopSettling = startSettler(sandbox);
  log.info('ready', { port: server.port, url: server.url, data: config.dataFolder });

  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= stopAll());
  const stopAll = async () => {
    stopping.abort();
    stopSettling();
    await server.stop();
    await deliveries.stop();
    store.close();
    log.info('stopped');
  };
  signal?.addEventListener('abort', () => void stop(), { once: true });
  return { url: server.url, stop };
}

function monotonicClock(): () => number {
  let last = 0;
  return () => (last = Math.max(last, Date.now()));
}

const STOP_LIMIT_MS = 8_000; // a stop that takes longer is a fault; the journal is whole at any moment

async function run(): Promise<void> {
  const signal = AbortSignal.any(['SIGTERM', 'SIGINT'].map(signalOf));
  try {
    const { stop } = await startSandbox(process.env);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await Promise.race([stop(), sleep(STOP_LIMIT_MS)]);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

function signalOf(name: string): AbortSignal {
  const controller = new AbortController();
  process.once(name, () => controller.abort());
  return controller.signal;
}

if (import.meta.main) await run();
