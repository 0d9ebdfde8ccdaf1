// Messages: I9. Pure.
import type { OrderFacts, Problem, Scope } from './order-facts.ts';

/** Kind and channel of every message that a buyer can get; the place is the bit in `MessagesRow.kinds`. */
export const KINDS = [
  'order_confirmation/email', 'payment_confirmation/email', 'payment_confirmation/sms', 'order_cancelled/email', 'order_cancelled/sms',
  'order_fulfilled/email', 'order_fulfilled/sms', 'refund/email',
] as const;

/** What the buyer must have been told, or have been spared by a row that says why. */
export function buyerWasTold({ order, payment, messages }: OrderFacts, { have }: Scope, problem: Problem): void {
  if (!order || !have.has('notification')) return;
  const due = new Set(['order_confirmation']);
  if (payment?.state === 'SUCCEEDED') due.add('payment_confirmation');
  if (order.state === 'CANCELLED') due.add('order_cancelled');
  if (order.state === 'FULFILLED') due.add('order_fulfilled');
  if ((payment?.refunded ?? 0) > 0) due.add('refund');
  const untold = KINDS.filter((_, bit) => due.has(PARTS[bit]?.kind ?? '') && (PARTS[bit]?.channel === 'email' || order.phone) && !((messages?.kinds ?? 0) & (1 << bit)));
  if (untold.length > 0) problem(`no message ${untold.join(', ')}`);
}
const PARTS = KINDS.map((message) => ({ kind: message.slice(0, message.indexOf('/')), channel: message.slice(message.indexOf('/') + 1) }));

/**
 * Rows and the provider's messages of one (order, kind, channel). `doubtful`: tried, and nobody knows how it ended. `delivered`: how many
 * the provider has taken; undefined when its ledger could not be read. `forAdmins`: there is a row for each of them.
 */
export type MessageFacts = { rows: number; sent: number; doubtful: number; delivered: number | undefined; moving: boolean; forAdmins: boolean };

/** I9, seen from the messages: what is wrong, in words. */
export function judgeMessage({ rows, sent, doubtful, delivered, moving, forAdmins }: MessageFacts): string[] {
  const found: string[] = [];
  if (rows > 1 && !forAdmins) found.push(`${rows} rows for one message`);
  if (delivered === undefined || moving) return found;
  if (delivered > sent + doubtful) found.push(`the provider was given ${delivered}, ${sent} are known as sent`);
  if (delivered < sent) found.push(`${sent} are said to be sent, the provider knows ${delivered}`);
  return found;
}

export const ADMIN_KINDS = ['low_stock', 'operator_alert'];
