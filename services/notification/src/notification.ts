// What is said to whom, once: kinds, keys, and what becomes of a message. Imports nothing.

/** What each state may become. A provider's fact that is not listed here is old news and changes nothing. */
const TRANSITIONS: Record<State, readonly State[]> = {
  pending: ['sent', 'failed', 'suppressed'],
  sent: ['delivered', 'bounced'],
  // A mailbox may take a mail and return it later, and the two reports may cross: coming back outweighs.
  delivered: ['bounced'],
  bounced: [],
  failed: [],
  suppressed: [],
};

export const KINDS = {
  order_confirmation: { to: 'buyer', channels: ['email'] },
  payment_confirmation: { to: 'buyer', channels: ['email', 'sms'] },
  payment_failed: { to: 'buyer', channels: ['email', 'sms'] },
  payment_action_required: { to: 'buyer', channels: ['email'] },
  order_cancelled: { to: 'buyer', channels: ['email', 'sms'] },
  order_fulfilled: { to: 'buyer', channels: ['email', 'sms'] },
  refund: { to: 'buyer', channels: ['email'] },
  low_stock: { to: 'admins', channels: ['email'] },
  operator_alert: { to: 'admins', channels: ['email'] },
} as const satisfies Record<string, { to: 'buyer' | 'admins'; channels: readonly Channel[] }>;

/** About a day, with the pauses that double from two seconds. */
export const MAX_ATTEMPTS = 17;
/** An order's first event may be lost or among the dead letters, and is put back from the outbox or replayed: as long as the outbox keeps it. */
export const CONTACT_PATIENCE_MS = 7 * 24 * 3_600_000;
/** A provider may list a message late: only this long after its answer is "not found" taken to mean "not sent". */
export const LAG_AFTER_ANSWER_MS = 10_000;
/** When it never answered it may be slow and still at it. */
export const LAG_WITHOUT_ANSWER_MS = 60_000;
/** A process that was stopped for longer than this no longer holds its lease for sure: others may have looked the message up by now. */
export const SEND_WITHIN_MS = 10_000;
/** A sender that died may have called as late as it was allowed to, and had no answer either. */
export const LAG_AFTER_CLAIM_MS = SEND_WITHIN_MS + LAG_WITHOUT_ANSWER_MS;
/** If nobody can say for so long whether a message was sent, it is not sent again. */
export const DOUBT_PATIENCE_MS = 24 * 3_600_000;
/** An unknown outcome is looked up this soon: mostly the message is there. */
export const LOOK_UP_SOON_MS = 2_000;
/** Meanwhile it is looked up this often. */
const LOOK_UP_PAUSE_MS = 15_000;
const FAILED_LOOK_UP_PAUSE_MAX_MS = 10 * 60_000;

/** The messages that a piece of news is to become: one per channel for the buyer, one per address for the admins. */
export function messagesFor(news: News, admins: readonly string[]): Message[] {
  const { to, channels } = KINDS[news.kind];
  const message = (channel: Channel, recipient: string, idempotencyKey: string): Message => ({
    idempotencyKey,
    orderId: news.orderId,
    kind: news.kind,
    channel,
    recipient,
    details: news.details,
  });
  return channels.flatMap((channel) =>
    to === 'buyer'
      ? [message(channel, '', `${news.orderId}:${news.kind}:${channel}`)]
      : admins.map((recipient) => message(channel, recipient, `${news.about ?? `${news.orderId}:${news.kind}`}:${recipient}`)),
  );
}

/** What to do with a message that is due. */
export function verdict(due: { kind: Kind; channel: Channel; known: boolean; recipient: string; wanted: boolean; ageMs: number }): Verdict {
  if (KINDS[due.kind].to === 'admins') return due.recipient === '' ? { type: 'suppressed', error: 'no address' } : { type: 'send' };
  if (!due.known) return due.ageMs < CONTACT_PATIENCE_MS ? { type: 'wait' } : { type: 'failed', error: 'nothing was ever heard of the customer' };
  if (due.recipient === '') return { type: 'suppressed', error: due.channel === 'email' ? 'the customer gave no mail address' : 'the customer gave no phone number' };
  return due.wanted ? { type: 'send' } : { type: 'suppressed', error: 'the customer does not want it' };
}

/**
 * What a fact makes of a message, or undefined when it changes nothing: facts come in any order, any number of times.
 * What our own sender reports counts only while its attempt is the latest one; what a provider has done always counts.
 */
export function decide(now: Standing, fact: Fact): Step | undefined {
  const stay = { ...now, pauseMs: 0, error: '', said: [] };
  switch (fact.type) {
    case 'sent':
    case 'delivered':
    case 'bounced':
      return reach(now, fact.type);
    case 'failed':
    case 'suppressed':
      return current(now, fact.attempt) ? { ...stay, ...reach(now, fact.type), error: fact.error } : undefined;
    case 'not_sent':
    case 'delayed': {
      if (!current(now, fact.attempt)) return undefined;
      const error = fact.type === 'delayed' ? fact.error : '';
      if (now.attempts >= MAX_ATTEMPTS) return { ...stay, ...reach(now, 'failed'), error: error || 'tried too often' };
      return { ...stay, sending: false, pauseMs: fact.pauseMs, error };
    }
    case 'unknown':
      return current(now, fact.attempt) ? { ...stay, pauseMs: fact.pauseMs, error: fact.error, lagMs: fact.lagMs } : undefined;
    case 'waiting':
      return current(now, fact.attempt) ? { ...stay, sending: false, attempts: now.attempts - 1, pauseMs: fact.pauseMs } : undefined;
    default:
      return fact satisfies never;
  }
}

/** What a look-up says about a message whose sending had no answer. `lagMs`: how long "not found" does not count yet. */
export function afterLookUp(found: string | undefined, due: { attempt: number; lagMs: number }, retryPauseMs: number): Fact {
  if (found !== undefined) return { type: 'sent', providerMessageId: found };
  if (due.lagMs <= 0) return { type: 'not_sent', attempt: due.attempt, pauseMs: retryPauseMs };
  return { type: 'unknown', attempt: due.attempt, error: '', pauseMs: Math.min(due.lagMs, LOOK_UP_PAUSE_MS) };
}

/** What to do when not even the look-up works: ask ever more rarely and in the end rather tell nobody than somebody twice. */
export function afterFailedLookUp({ attempt, doubtMs }: { attempt: number; doubtMs: number }): Fact {
  if (doubtMs >= DOUBT_PATIENCE_MS) return { type: 'failed', attempt, error: 'the provider never said whether it had taken the message' };
  return { type: 'unknown', attempt, error: '', pauseMs: Math.min(Math.max(doubtMs, LOOK_UP_SOON_MS), FAILED_LOOK_UP_PAUSE_MAX_MS) };
}

function current(now: Standing, attempt: number): boolean {
  return now.state === 'pending' && now.sending && now.attempts === attempt;
}

/** Walks to a state, through `sent` when the report of the sending is still on its way; one version a step. */
function reach(now: Standing, goal: State): Step | undefined {
  const path = TRANSITIONS[now.state].includes(goal) ? [goal] : now.state === 'pending' && TRANSITIONS.sent.includes(goal) ? (['sent', goal] as const) : [];
  if (path.length === 0) return undefined;
  const said = path.flatMap((state, i) => (state === 'sent' || state === 'failed' || state === 'bounced' ? [{ what: state, version: now.version + i + 1 }] : []));
  return { ...now, state: goal, version: now.version + path.length, sending: false, pauseMs: 0, error: '', said };
}

/** What people read of a failure: providers quote the address, and addresses stay out of errors and events. */
export function withoutAddresses(error: string): string {
  return error
    .replace(/[^\s<>"',;:]+@[^\s<>"',;:]+/g, '(address)')
    .replace(/\+?\d[\d ()-]{6,}\d/g, '(number)')
    .slice(0, 500);
}

/** A subject line is one line, whatever a name or a reason contains. */
export function oneLine(text: string, limit = 200): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim().slice(0, limit);
}

export type State = 'pending' | 'sent' | 'delivered' | 'bounced' | 'failed' | 'suppressed';
export type Channel = 'email' | 'sms';
export type Kind = keyof typeof KINDS;
export type Said = { what: 'sent' | 'failed' | 'bounced'; version: number };

/** What a template may say beside the order itself; amounts in minor units. */
export type Details = Partial<
  Record<'amount' | 'currency' | 'cause' | 'reason' | 'carrier' | 'trackingNumber' | 'actionUrl' | 'failure' | 'payBefore' | 'topic' | 'sku' | 'name' | 'available' | 'threshold', string>
>;
/** `about` keys what goes to admins; the buyer gets one message per order, kind and channel. */
export type News = { kind: Kind; orderId: string; about?: string; details: Details };
export type Message = { idempotencyKey: string; orderId: string; kind: Kind; channel: Channel; recipient: string; details: Details };

/** `sending`: a call may be under way, or nobody knows how it ended. */
export type Standing = { state: State; version: number; attempts: number; sending: boolean };
/** `lagMs`: set when it changes how long "not found" does not count. */
export type Step = Standing & { pauseMs: number; error: string; said: Said[]; lagMs?: number | undefined };
export type Verdict = { type: 'send' } | { type: 'wait' } | { type: 'suppressed' | 'failed'; error: string };

/** What a provider answered to one message. */
export type Outcome =
  | { type: 'sent'; providerMessageId: string }
  /** Refused for good. */
  | { type: 'failed' | 'suppressed'; error: string }
  /** Surely not taken; worth another try. `pauseMs`: the provider's own wish. */
  | { type: 'delayed'; error: string; pauseMs?: number }
  /** Perhaps taken; `answered`: the provider has finished with it. */
  | { type: 'unknown'; error: string; answered: boolean };

export type Fact =
  | { type: 'sent' | 'delivered'; providerMessageId: string }
  | { type: 'bounced'; providerMessageId: string; bounceType: string }
  | { type: 'failed' | 'suppressed'; attempt: number; error: string }
  | { type: 'delayed'; attempt: number; error: string; pauseMs: number }
  | { type: 'unknown'; attempt: number; error: string; pauseMs: number; lagMs?: number }
  | { type: 'not_sent' | 'waiting'; attempt: number; pauseMs: number };
