// The composition root of notification: who is told what, once.

import { setTimeout as pause } from 'node:timers/promises';
import type { Env } from '@millrace/chassis/config';
import { openDatabase } from '@millrace/chassis/database/db';
import { createBatcher } from '@millrace/chassis/flow/batcher';
import type { Loop } from '@millrace/chassis/flow/loop';
import { RARER_MAJOR_COLLECTIONS, runProcess } from '@millrace/chassis/process';
import { type Running, runService, type ServiceDefinition } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { NotificationService } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import { PrismaClient } from '@millrace/gen/prisma/notification/client.ts';
import { readNotificationConfig, shopName } from './config.ts';
import { notificationReactions } from './events.ts';
import type { Channel } from './notification.ts';
import { createPostmark } from './postmark.ts';
import { createQueueMessages } from './queue-messages.ts';
import { resolveMails, resolveTexts } from './resolve-unknown.ts';
import { notificationRoutes } from './rpc.ts';
import { sendMails } from './send-mails.ts';
import { sendTexts } from './send-texts.ts';
import type { Report } from './settle.ts';
import { createStore } from './store.ts';
import { takePostmarkWebhook } from './take-postmark-webhook.ts';
import { takeTwilioWebhook } from './take-twilio-webhook.ts';
import { createRenderer } from './templates/render.ts';
import { warmUp } from './templates/samples.ts';
import { createTwilio } from './twilio.ts';

/** Single reports (webhooks, text messages, look-ups) that come together are settled together. One lane: two would fight over the same rows. */
const REPORTS = { name: 'reports', lanes: 1, max: 200, queueLimit: 5_000, paceMs: 100 };
/** Nobody waits for a webhook, and by then the answer of our own call is written: else each would have to be settled again. */
const WEBHOOK_PATIENCE_MS = 60;

export async function startNotification(env: Env, signal: AbortSignal): Promise<Running> {
  return runService(defineNotification(env), signal);
}

export function defineNotification(env: Env): ServiceDefinition {
  const config = readNotificationConfig(env);
  const log = createLog('notification', config.LOG_LEVEL);
  const db = openDatabase(config.DATABASE_URL, log);
  const prisma = new PrismaClient({ adapter: db.prismaAdapter() });
  const store = createStore(db);
  const renderer = createRenderer(shopName(config.MAIL_FROM));
  const postmark = createPostmark({ token: config.POSTMARK_SERVER_TOKEN, apiBase: config.POSTMARK_API_BASE, from: config.MAIL_FROM });
  const twilio = createTwilio({
    accountSid: config.TWILIO_ACCOUNT_SID,
    authToken: config.TWILIO_AUTH_TOKEN,
    from: config.TWILIO_FROM,
    apiBase: config.TWILIO_API_BASE,
    callbackUrl: config.TWILIO_WEBHOOK_URL,
  });
  const report = createBatcher<Report, void>(REPORTS, async (reports) => {
    await store.report(reports);
    return reports.map(() => undefined);
  });
  const reportLater = async (one: Report) => {
    await pause(WEBHOOK_PATIENCE_MS);
    return report(one);
  };

  const senders: Record<Channel, Loop> = { email: sendMails({ store, postmark, renderer, log }), sms: sendTexts({ store, twilio, renderer, report, log }) };
  const resolvers: Loop[] = [resolveMails({ store, postmark, renderer, report, log }), resolveTexts({ store, twilio, renderer, report, log })];
  const wake = (channels: Channel[]) => channels.forEach((channel) => senders[channel].poke());

  return {
    name: 'notification', config, log, db,
    services: [NotificationService],
    routes: notificationRoutes({ db, prisma, renderer, wake }),
    reactions: notificationReactions(createQueueMessages(store, config.ADMIN_EMAILS, wake)),
    loops: [...Object.values(senders), ...resolvers],
    http: {
      '/webhooks/postmark': takePostmarkWebhook(config.POSTMARK_WEBHOOK_SECRET, reportLater),
      '/webhooks/twilio': takeTwilioWebhook({ authToken: config.TWILIO_AUTH_TOKEN, callbackUrl: config.TWILIO_WEBHOOK_URL }, reportLater),
    },
    warmUp: async () => warmUp(renderer),
    close: () => prisma.$disconnect(),
  };
}

if (import.meta.main) await runProcess(startNotification, RARER_MAJOR_COLLECTIONS);
