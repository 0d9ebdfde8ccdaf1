// Sends mails that are due, many in a call. The claim has marked them as being sent: if this dies, they are looked up, not sent again.

import { crashPoint } from '@millrace/chassis/crash-point';
import { createRunner, type Loop } from '@millrace/chassis/flow/loop';
import type { Log } from '@millrace/chassis/telemetry/log';
import { factOf, isLate, letterOf, notSent, unwritable, withheld } from './attempt.ts';
import { batchesOf, type OutgoingMail, type Postmark } from './postmark.ts';
import type { Report } from './settle.ts';
import type { Due, Store } from './store.ts';
import type { Renderer } from './templates/render.ts';

/** About what fits one call; see postmark.ts. */
const MAILS_AT_ONCE = 125;
/** While one call waits for Postmark, others are written; more would only queue up there. */
const CALLS_AT_ONCE = 4;
const POLL_MS = 500;
/** Between two claims: the first mail goes at once, and those of the next moment share a claim, a call and a report. Nobody waits for a mail. */
const REST_MS = 100;

export function sendMails({ store, postmark, renderer, log }: { store: Store; postmark: Postmark; renderer: Renderer; log: Log }): Loop {
  return createRunner({
    name: 'send mails',
    log,
    batch: MAILS_AT_ONCE,
    concurrency: CALLS_AT_ONCE,
    pollMs: POLL_MS,
    rest: () => REST_MS,
    claim: (limit) => store.claimDue('email', limit),
    async work(claimed) {
      crashPoint('mails.claimed');
      const reports: Report[] = [];
      const ready: (OutgoingMail & { due: Due })[] = [];
      for (const due of claimed) {
        const instead = withheld(due);
        if (instead) reports.push({ notificationId: due.notificationId, fact: instead, seen: due.seen });
        else write(due, renderer, ready, reports);
      }
      for (const mails of batchesOf(ready)) {
        const late = mails.some(({ due }) => isLate(due));
        const outcomes = late ? [] : await postmark.send(mails);
        crashPoint('mails.sent');
        mails.forEach(({ due, subject }, i) => {
          const outcome = outcomes[i];
          reports.push({ notificationId: due.notificationId, fact: outcome ? factOf(outcome, due) : notSent(due), subject, seen: due.seen });
        });
      }
      await store.report(reports);
      crashPoint('mails.reported');
      logTroubles(log, reports);
    },
  });
}

function write(due: Due, renderer: Renderer, ready: (OutgoingMail & { due: Due })[], reports: Report[]): void {
  try {
    ready.push({ notificationId: due.notificationId, orderId: due.orderId, kind: due.kind, to: due.recipient, ...renderer.mail(letterOf(due)), due });
  } catch (error) {
    reports.push({ notificationId: due.notificationId, fact: unwritable(error, due), seen: due.seen });
  }
}

/** One line a batch, however many mails it was. */
function logTroubles(log: Log, reports: Report[]): void {
  const troubles = reports.filter(({ fact }) => fact.type === 'delayed' || fact.type === 'unknown' || fact.type === 'failed');
  const [first] = troubles;
  if (first && 'error' in first.fact) log.warn({ channel: 'email', count: troubles.length, outcome: first.fact.type, cause: first.fact.error, notificationId: first.notificationId }, 'mails were not taken');
}
