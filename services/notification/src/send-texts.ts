// Sends text messages that are due, several at a time; as with mails, the claim has marked them as being sent.

import { crashPoint } from '@millrace/chassis/crash-point';
import { createRunner, type Loop } from '@millrace/chassis/flow/loop';
import type { Log } from '@millrace/chassis/telemetry/log';
import { factOf, isLate, letterOf, notSent, unwritable, withheld } from './attempt.ts';
import type { Fact } from './notification.ts';
import type { Report } from './settle.ts';
import type { Due, Store } from './store.ts';
import type { Renderer } from './templates/render.ts';
import type { Twilio } from './twilio.ts';

/** Twilio takes one message a call and paces them itself. */
const CALLS_AT_ONCE = 8;
const POLL_MS = 500;

export function sendTexts(parts: { store: Store; twilio: Twilio; renderer: Renderer; report: (report: Report) => Promise<void>; log: Log }): Loop {
  return createRunner({
    name: 'send texts',
    log: parts.log,
    batch: 1,
    concurrency: CALLS_AT_ONCE,
    pollMs: POLL_MS,
    claim: (limit) => parts.store.claimDue('sms', limit),
    async work(claimed) {
      for (const due of claimed) {
        crashPoint('text.claimed');
        const fact = await attempt(due, parts.twilio, parts.renderer);
        crashPoint('text.sent');
        await parts.report({ notificationId: due.notificationId, fact, seen: due.seen });
        if ('error' in fact) parts.log.warn({ channel: 'sms', outcome: fact.type, cause: fact.error, notificationId: due.notificationId }, 'a text message was not sent');
      }
    },
  });
}

async function attempt(due: Due, twilio: Twilio, renderer: Renderer): Promise<Fact> {
  const instead = withheld(due);
  if (instead) return instead;
  try {
    const body = renderer.sms(letterOf(due));
    if (isLate(due)) return notSent(due);
    return factOf(await twilio.send({ notificationId: due.notificationId, orderId: due.orderId, kind: due.kind, to: due.recipient, body }), due);
  } catch (error) {
    return unwritable(error, due);
  }
}
