// The identity of an order follows from who asks, under which request id, for what: a retry after a crash meets its own reservation.
import { hash } from 'node:crypto';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
/** 26 characters of 5 bits: 130 bits, no accidental meeting. */
const LENGTH = 26;

export function orderIdOf(placedBy: string, requestId: string, fingerprint: string): string {
  return `ord_${digest([placedBy, requestId, fingerprint])}`;
}

export function refundIdOf(orderId: string, caller: string, requestId: string): string {
  return `ref_${digest([orderId, caller, requestId])}`;
}

function digest(parts: string[]): string {
  const bits = hash('sha256', JSON.stringify(parts), 'buffer');
  let text = '';
  for (let i = 0; i < LENGTH; i += 1) {
    const bit = i * 5;
    const window = ((bits[bit >> 3] ?? 0) << 8) | (bits[(bit >> 3) + 1] ?? 0);
    text += ALPHABET[(window >> (11 - (bit & 7))) & 31];
  }
  return text;
}
