// The identity of an order follows from who asks, under which request id, for what: a retry after a crash meets its own reservation.
import { hash } from 'node:crypto';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
/** 26 characters of 5 bits: 130 bits, no accidental meeting. */
const LENGTH = 26;
/** Of them, behind a time: 100 bits. */
const LENGTH_IN_TIME = 20;

const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
/** The same letters in the order of their bytes. */
const IN_ORDER = '234567abcdefghijklmnopqrstuvwxyz';
/** 40 bits, of the 48 that a UUID has for its milliseconds. */
const TIME_LENGTH = 8;
const STEP_MS = 2 ** 8;

/**
 * Begins with the time of a request id that has one (a UUID of version 7): orders of the same moment then stand side by side in the indexes of
 * all services, which cost less the fewer of their pages are touched.
 */
export function orderIdOf(placedBy: string, requestId: string, fingerprint: string): string {
  const id = digest([placedBy, requestId, fingerprint]);
  const time = UUID_V7.exec(requestId);
  return `ord_${time ? `${inOrder(Number.parseInt(`${time[1]}${time[2]}`, 16))}${id.slice(0, LENGTH_IN_TIME)}` : id}`;
}

export function refundIdOf(orderId: string, caller: string, requestId: string): string {
  return `ref_${digest([orderId, caller, requestId])}`;
}

function inOrder(timeMs: number): string {
  let text = '';
  for (let left = Math.floor(timeMs / STEP_MS); text.length < TIME_LENGTH; left = Math.floor(left / IN_ORDER.length)) text = `${IN_ORDER[left % IN_ORDER.length]}${text}`;
  return text;
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
