// Ids in the providers' shapes that carry the record's running number, so that an array of file offsets is the whole
// index by id: 8 bytes a record instead of a hash-map entry with a string in it.
import { randomBytes } from 'node:crypto';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const NUMBER_LENGTH = 7; // 62^7 = 3.5e12 records
const HEX_NUMBER_LENGTH = 12;
const VALUE = new Map(DIGITS.split('').map((digit, value) => [digit, value]));

export interface IdFormat {
  make(number: number): string;
  /** The number inside an id; -1 for anything that was not made here. */
  parse(id: string): number;
}

/** `pi_3` + number + 16 random characters. */
export function stripeIds(prefix: string): IdFormat {
  const start = `${prefix}_3`;
  const length = start.length + NUMBER_LENGTH + 16;
  return {
    make: (number) => start + base62(number) + randomText(16),
    parse: (id) => (id.length === length && id.startsWith(start) ? fromBase62(id.slice(start.length, start.length + NUMBER_LENGTH)) : -1),
  };
}

/** A UUID whose last twelve digits are the number (Postmark's MessageID). */
export function uuids(): IdFormat {
  return {
    make: (number) => {
      const r = randomHex(20);
      return `${r.slice(0, 8)}-${r.slice(8, 12)}-4${r.slice(13, 16)}-9${r.slice(17, 20)}-${hex(number)}`;
    },
    parse: (id) => (/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}$/.test(id) ? Number.parseInt(id.slice(24), 16) : -1),
  };
}

/** `SM` and 32 hex digits, the last twelve of them the number (Twilio's message SID). */
export function messageSids(): IdFormat {
  return {
    make: (number) => `SM${randomHex(20)}${hex(number)}`,
    parse: (id) => (/^SM[0-9a-f]{32}$/.test(id) ? Number.parseInt(id.slice(22), 16) : -1),
  };
}

let pool = Buffer.alloc(0);
let used = 0;

export function randomText(length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += DIGITS[nextByte() % DIGITS.length];
  return text;
}

function randomHex(length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += (nextByte() & 15).toString(16);
  return text;
}

function nextByte(): number {
  if (used >= pool.length) {
    pool = randomBytes(4096);
    used = 0;
  }
  return pool[used++] as number;
}

function base62(number: number): string {
  let text = '';
  for (let rest = number; rest > 0; rest = Math.floor(rest / 62)) text = DIGITS[rest % 62] + text;
  return text.padStart(NUMBER_LENGTH, '0');
}

function fromBase62(text: string): number {
  let number = 0;
  for (const digit of text) {
    const value = VALUE.get(digit);
    if (value === undefined) return -1;
    number = number * 62 + value;
  }
  return number;
}

const hex = (number: number) => number.toString(16).padStart(HEX_NUMBER_LENGTH, '0');
