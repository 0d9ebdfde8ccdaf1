// Notification's rows and senders around its pure decisions, and the mail provider, which knows no idempotency.
import {
  afterFailedLookUp, LAG_AFTER_ANSWER_MS, LAG_AFTER_CLAIM_MS, LAG_WITHOUT_ANSWER_MS, LOOK_UP_SOON_MS, SEND_WITHIN_MS, type Fact, type Kind, type Message, type Standing,
} from '../../services/notification/src/notification.ts';
import type { Order } from '../../services/order/src/order.ts';
import { type Accident, earliest, NEVER, type SimEvent, type Stage } from './stage.ts';

const LEASE_MS = 30_000;
/** How late the provider's search shows a mail. */
const INDEX_LAG_MS = 9_000;
const RETRY_PAUSE_MS = 2_000;
const ADMINS = ['admin@example.com'];

/** `gaveUp`: nobody was told, because for too long nobody could say whether somebody was, or whom to tell. */
type Row = { message: Message; standing: Standing; due: number; resend: number; created: number; sendingTime: number; gaveUp: boolean };
/** A row as its sender claimed it. */
type Due = { key: string; attempt: number; claimedAt: number; doubtMs: number; lagMs: number };
export type Mail = { key: string; kind: Kind; takenAt: number; hooks: number };

export type Notification = ReturnType<typeof createNotification>;

export function createNotification(stage: Stage, orderOf: (orderId: string) => Order | undefined) {
  const { notification: rules } = stage.rules;
  const rows = new Map<string, Row>();
  const contacts = new Set<string>();
  const ledger: Mail[] = [];

  function hear(event: SimEvent): void {
    if (!('orderId' in event)) return;
    const { orderId } = event;
    if (event.from === 'order' && event.type !== 'refund_requested') contacts.add(orderId);
    const kind = newsOf(event);
    if (kind === undefined) return;
    const about = `${orderId}:operator_alert:${event.type === 'shortfall' ? 'shortfall' : 'dispute'}`;
    for (const message of rules.messagesFor({ kind, orderId, about, details: {} }, ADMINS)) {
      if (rows.has(message.idempotencyKey)) continue;
      rows.set(message.idempotencyKey, { message, standing: { state: 'pending', version: 1, attempts: 0, sending: false }, due: stage.now, resend: 0, created: stage.now, sendingTime: 0, gaveUp: false });
    }
  }

  function report(key: string, fact: Fact): void {
    const row = rows.get(key) as Row;
    const step = rules.decide(row.standing, fact);
    if (step === undefined) return;
    const { state, version, attempts, sending, pauseMs, lagMs } = step;
    row.standing = { state, version, attempts, sending };
    row.due = stage.now + pauseMs;
    if (lagMs !== undefined) row.resend = stage.now + lagMs;
    stage.note(() => `${key} is ${state}${sending ? ', in doubt' : ''}`);
  }

  function claim(sending: boolean): [string, Row][] {
    if (nextDue() > stage.now) return [];
    const due = [...rows].filter(([, { standing, due: at }]) => standing.state === 'pending' && standing.sending === sending && at <= stage.now);
    for (const [, row] of due) {
      row.due = stage.now + LEASE_MS;
      if (sending) continue;
      row.standing = { ...row.standing, sending: true, attempts: row.standing.attempts + 1 };
      row.resend = stage.now + LAG_AFTER_CLAIM_MS;
      row.sendingTime = stage.now;
    }
    return due;
  }

  function send(): boolean {
    const claimed = claim(false).map(([key, row]): Due => ({ key, attempt: row.standing.attempts, claimedAt: stage.now, doubtMs: 0, lagMs: 0 }));
    if (claimed.length === 0) return false;
    stage.begin('notification', `send ${claimed.map(({ key }) => key).join(', ')}`, (accident) => {
      const facts = claimed.map((due): { key: string; fact: Fact } => ({ key: due.key, fact: withheld(due) ?? (stage.now - due.claimedAt > SEND_WITHIN_MS ? notSent(due) : call(due, accident)) }));
      return { name: `report ${facts.map(({ key, fact }) => `${key} ${fact.type}`).join(', ')}`, go: () => {
        for (const { key, fact } of facts) report(key, fact);
        return undefined;
      } };
    });
    return true;
  }

  function withheld({ key, attempt }: Due): Fact | undefined {
    const row = rows.get(key) as Row;
    const { message: { kind, channel, orderId, recipient }, created } = row;
    const customer = contacts.has(orderId) ? orderOf(orderId)?.customer : undefined;
    const to = recipient || (channel === 'email' ? customer?.email : customer?.phone) || '';
    const verdict = rules.verdict({ kind, channel, known: customer !== undefined, recipient: to, wanted: true, ageMs: stage.now - created });
    if (verdict.type === 'send') return undefined;
    if (verdict.type === 'failed') row.gaveUp = true;
    return verdict.type === 'wait' ? { type: 'waiting', attempt, pauseMs: 500 } : { type: verdict.type, attempt, error: verdict.error };
  }

  function call({ key, attempt }: Due, accident: Accident): Fact {
    const unknown = (lagMs: number): Fact => ({ type: 'unknown', attempt, error: '', pauseMs: LOOK_UP_SOON_MS, lagMs });
    if (accident === 'busy') return { type: 'delayed', attempt, error: '', pauseMs: RETRY_PAUSE_MS };
    if (accident === 'none' || accident === 'lost' || accident === 'error_after') {
      const { kind } = (rows.get(key) as Row).message;
      ledger.push({ key, kind, takenAt: stage.now + (accident === 'lost' ? stage.scene.slowMailMs : 0), hooks: 0 });
      stage.note(() => `the mail provider takes ${key}`);
    }
    if (accident === 'none') return { type: 'sent', providerMessageId: `pm_${ledger.length}` };
    return unknown(accident === 'error' || accident === 'error_after' ? LAG_AFTER_ANSWER_MS : LAG_WITHOUT_ANSWER_MS);
  }

  function lookUp(): boolean {
    const claimed = claim(true).map(([key, row]): Due => ({ key, attempt: row.standing.attempts, claimedAt: stage.now, doubtMs: stage.now - row.sendingTime, lagMs: row.resend - stage.now }));
    for (const due of claimed) {
      stage.begin('notification', `look up ${due.key}`, (accident) => {
        const found = ledger.find(({ key, takenAt }) => key === due.key && takenAt + INDEX_LAG_MS <= stage.now);
        const fact = accident === 'none' ? rules.afterLookUp(found && `pm_${ledger.indexOf(found) + 1}`, due, RETRY_PAUSE_MS) : afterFailedLookUp(due);
        return { name: `report ${due.key}: ${fact.type}`, go: () => {
          report(due.key, fact);
          if (fact.type === 'failed') (rows.get(due.key) as Row).gaveUp = true;
          return undefined;
        } };
      });
    }
    return claimed.length > 0;
  }

  const nextDue = (): number => earliest(rows.values(), ({ standing, due }) => (standing.state === 'pending' ? due : NEVER));

  return {
    hear, send, lookUp, ledger,
    rows: () => [...rows].map(([key, { message, standing, gaveUp }]) => ({ key, kind: message.kind, gaveUp, ...standing })),
    /** The provider reports a delivery or a bounce, in any order, any number of times. */
    hook(pick: number, bounced: boolean): void {
      const taken = ledger.filter(({ takenAt }) => takenAt <= stage.now);
      const mail = taken[pick % taken.length];
      if (mail) report(mail.key, bounced ? { type: 'bounced', providerMessageId: '', bounceType: 'HardBounce' } : { type: 'delivered', providerMessageId: '' });
    },
    nextDue,
  };
}

const notSent = ({ attempt }: Due): Fact => ({ type: 'not_sent', attempt, pauseMs: 0 });

function newsOf(event: SimEvent): Kind | undefined {
  if (event.type === 'placed') return 'order_confirmation';
  if (event.type === 'cancelled') return 'order_cancelled';
  if (event.type === 'fulfilled') return 'order_fulfilled';
  if (event.type === 'shortfall') return 'operator_alert';
  if (event.type !== 'payment') return undefined;
  const { kind, refund, payment } = event.told;
  if (kind === 'succeeded') return 'payment_confirmation';
  if (kind === 'failed') return 'payment_failed';
  if (kind === 'action_required') return 'payment_action_required';
  if (kind === 'disputed') return payment.disputed ? 'operator_alert' : undefined;
  return kind === 'refunded' && (refund?.amount ?? 0n) > 0n ? 'refund' : undefined;
}
