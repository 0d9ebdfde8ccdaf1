// The composition root of payment: the money of orders, at most one capture each, and every refund.
import type { Env } from '@millrace/chassis/config';
import { openDatabase } from '@millrace/chassis/database/db';
import { createBatcher } from '@millrace/chassis/flow/batcher';
import { createRunner } from '@millrace/chassis/flow/loop';
import { runProcess } from '@millrace/chassis/process';
import { runService, type Running, type ServiceDefinition } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { PaymentService } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { PrismaClient } from '@millrace/gen/prisma/payment/client.ts';
import { createAdvance } from './advance-payment.ts';
import { readPaymentConfig } from './config.ts';
import { paymentReactions } from './events.ts';
import { createReconcile, reconcileLoop } from './reconcile.ts';
import { paymentRoutes } from './rpc.ts';
import { type Item, type Settled, settleHeld } from './settle.ts';
import { type Held, claimDue } from './store.ts';
import { createStripe } from './stripe.ts';
import { createTakeWebhook } from './take-webhook.ts';
import { stripeWebhook } from './webhook.ts';

/** Payments worked on at once: below the bulkhead's places, so that a buyer who waits for ConfirmPayment finds one free. */
const WORKERS = 48;
/** The runner is poked when there is work; this is for what falls due by time. */
const POLL_MS = 250;
/** Between two claims, so that one takes all places that have become free meanwhile. */
const REST_MS = 25;
/** Answers of the provider that come together are settled together. */
const SETTLING = { name: 'settle', lanes: 2, max: 100, queueLimit: 5_000, paceMs: 50 };

export async function startPayment(env: Env, signal: AbortSignal): Promise<Running> {
  return runService(definePayment(env), signal);
}

export function definePayment(env: Env): ServiceDefinition {
  const config = readPaymentConfig(env);
  const log = createLog('payment', config.LOG_LEVEL);
  const db = openDatabase(config.DATABASE_URL, log);
  const prisma = new PrismaClient({ adapter: db.prismaAdapter() });
  const provider = createStripe(config);
  const wake = () => runner.poke();

  const settleBatched = createBatcher<Item, Settled | undefined>(SETTLING, (items) => settleHeld(db, items, wake));
  const advance = createAdvance(provider, settleBatched, log);
  const runner = createRunner<Held>({
    name: 'payments', log, batch: 1, concurrency: WORKERS, pollMs: POLL_MS, rest: () => REST_MS,
    claim: (limit) => claimDue(db, limit),
    work: ([held]) => (held ? advance(held) : Promise.resolve()),
  });
  const reconcile = createReconcile(db, provider, log, wake);

  return {
    name: 'payment', config, log, db,
    services: [PaymentService],
    routes: paymentRoutes({ db, log, prisma, advance, reconcile, wake }),
    reactions: paymentReactions(wake),
    loops: [runner, reconcileLoop(reconcile, db, log, config.RECONCILE_INTERVAL)],
    http: { '/webhooks/stripe': stripeWebhook(provider, createTakeWebhook(db, log, wake), log) },
    async close() {
      provider.close();
      await prisma.$disconnect();
    },
  };
}

if (import.meta.main) await runProcess(startPayment);
