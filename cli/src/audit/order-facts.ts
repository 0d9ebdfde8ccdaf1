// Everything that is known about one order, from all sources. `moving`: changed so lately that what the others say of it may still be on its way.
import type { Source } from './report.ts';

/** Money is in minor units; a total has at most 13 digits, so a number is exact. */
export type OrderRow = {
  state: string; paymentStatus: string;
  captured: number; refunded: number; disputed: boolean;
  currency: string; total: number; stockCommitted: boolean; moving: boolean;
  /** The buyer gave a number: only then there are text messages. */
  phone: boolean;
};
export type PaymentRow = {
  state: string; amount: number; currency: string; captured: number; refunded: number; refundPending: number; disputed: boolean;
  intent: string; moving: boolean;
  /** Sum of the refunds that were asked for and not refused. */
  asked: number;
};
export type ReservationRow = { state: string; moving: boolean };
/** Kinds of messages that there are for the order: bits of `KINDS` in messages.ts. */
export type MessagesRow = { kinds: number; moving: boolean };
export type LedgerRow = { type: string; amount: number; currency: string; intent: string; moving: boolean };

export type OrderFacts = {
  orderId: string;
  order: OrderRow | undefined;
  payment: PaymentRow | undefined;
  reservation: ReservationRow | undefined;
  messages: MessagesRow | undefined;
  ledger: LedgerRow[];
};

/** What could be read. `whole`: all orders were, so that whatever belongs to no order is invented. */
export type Scope = { have: ReadonlySet<Source>; whole: boolean };
export type Problem = (problem: string) => void;

export function isMoving({ order, payment, reservation, ledger }: OrderFacts): boolean {
  return order?.moving === true || payment?.moving === true || reservation?.moving === true || ledger.some((row) => row.moving);
}

export const isPaid = ({ payment, ledger }: OrderFacts): boolean => (payment?.captured ?? 0) > 0 || ledger.some(({ type }) => type === 'captured');

export function sumOf(ledger: LedgerRow[], type: string): number {
  return ledger.reduce((sum, row) => (row.type === type ? sum + row.amount : sum), 0);
}
