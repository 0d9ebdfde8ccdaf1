// A message whose sending had no answer, or whose sender died, is looked up at the provider before anybody sends it again.

import { crashPoint } from '@millrace/chassis/crash-point';
import { createRunner, type Loop } from '@millrace/chassis/flow/loop';
import type { Log } from '@millrace/chassis/telemetry/log';
import { letterOf, retryPause } from './attempt.ts';
import { afterFailedLookUp, afterLookUp, type Channel } from './notification.ts';
import type { Postmark } from './postmark.ts';
import type { Report } from './settle.ts';
import type { Due, Store } from './store.ts';
import type { Renderer } from './templates/render.ts';
import type { Twilio } from './twilio.ts';

/** Look-ups are one call a message, and a provider that just failed is spared. */
const LOOK_UPS_AT_ONCE = 8;
const POLL_MS = 500;

type Parts = { store: Store; report: (report: Report) => Promise<void>; log: Log };
type Find = (due: Due) => Promise<{ providerMessageId: string | undefined; subject?: string }>;

export function resolveMails({ postmark, renderer, ...parts }: Parts & { postmark: Postmark; renderer: Renderer }): Loop {
  return resolveUnknown('email', parts, async (due) => ({ providerMessageId: await postmark.find(due.notificationId), subject: renderer.mail(letterOf(due)).subject }));
}

/** Twilio knows no metadata: the number, the words and the time tell. The customer may have changed the language since. */
export function resolveTexts({ twilio, renderer, ...parts }: Parts & { twilio: Twilio; renderer: Renderer }): Loop {
  return resolveUnknown('sms', parts, async (due) => {
    const bodies = ['', due.locale, ...renderer.languages].map((locale) => renderer.sms({ ...letterOf(due), locale }));
    return { providerMessageId: await twilio.find(due.recipient, bodies, due.sendingTime) };
  });
}

function resolveUnknown(channel: Channel, { store, report, log }: Parts, find: Find): Loop {
  return createRunner({
    name: `resolve ${channel}`,
    log,
    batch: 1,
    concurrency: LOOK_UPS_AT_ONCE,
    pollMs: POLL_MS,
    claim: (limit) => store.claimDoubtful(channel, limit),
    async work(claimed) {
      for (const due of claimed) {
        const { notificationId, seen } = due;
        try {
          const { providerMessageId, subject = '' } = await find(due);
          crashPoint('message.looked_up');
          await report({ notificationId, fact: afterLookUp(providerMessageId, due, retryPause(due)), subject, seen });
          log.info({ channel, notificationId, found: providerMessageId !== undefined, doubtMs: Math.round(due.doubtMs) }, 'an unknown outcome was looked up');
        } catch (error) {
          log.warn({ err: error, channel, notificationId }, 'a look-up failed');
          await report({ notificationId, fact: afterFailedLookUp(due), seen });
        }
      }
    },
  });
}
