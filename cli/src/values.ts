// Amounts, times, states and lines: as people write them, and as the contracts have them.
import type { DescEnum } from '@bufbuild/protobuf';
import { type Timestamp, timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Money } from '@millrace/gen/millrace/type/v1/money_pb.js';
import { UsageError } from './command.ts';

export type Amount = { currencyCode: string; minorUnits: bigint };

/** "19.99 EUR", "19.99EUR", "EUR 19.99", "500 JPY". */
export function readMoney(text: string, what: string): Amount {
  const match = /^([A-Za-z]{3})\s*(-?\d{1,13})(?:\.(\d+))?$|^(-?\d{1,13})(?:\.(\d+))?\s*([A-Za-z]{3})$/.exec(text.trim());
  if (!match) throw new UsageError(`${what} must be an amount such as "19.99 EUR", not "${text}"`);
  const currencyCode = (match[1] ?? match[6] ?? '').toUpperCase();
  const whole = match[2] ?? match[4] ?? '';
  const fraction = match[3] ?? match[5] ?? '';
  const digits = fractionDigits(currencyCode);
  if (fraction.length > digits) throw new UsageError(`${what}: ${currencyCode} has ${digits} digits after the point, "${text}" has ${fraction.length}`);
  return { currencyCode, minorUnits: BigInt(whole + fraction.padEnd(digits, '0')) };
}

export function showMoney(money: Pick<Money, keyof Amount> | undefined): string {
  if (!money) return '';
  const digits = fractionDigits(money.currencyCode);
  const sign = money.minorUnits < 0n ? '-' : '';
  const all = (money.minorUnits < 0n ? -money.minorUnits : money.minorUnits).toString().padStart(digits + 1, '0');
  const amount = digits === 0 ? all : `${all.slice(0, -digits)}.${all.slice(-digits)}`;
  return `${sign}${amount} ${money.currencyCode}`;
}

// What the platform's currency table says; 2 where it doesn't know the currency.
function fractionDigits(currency: string): number {
  try {
    return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
  } catch {
    return 2;
  }
}

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** An ISO time or day, or how long ago: "2026-11-23", "2026-11-23T08:00:00Z", "90m", "2d". */
export function readTime(text: string, what: string, now = Date.now()): Timestamp {
  const ago = /^(\d{1,6})([smhd])$/.exec(text);
  const date = ago ? new Date(now - Number(ago[1]) * (UNITS[ago[2] ?? ''] ?? 0)) : new Date(/^\d{4}-\d{2}-\d{2}/.test(text) ? text : Number.NaN);
  if (Number.isNaN(date.getTime())) throw new UsageError(`${what} must be a time such as 2026-11-23T08:00:00Z, or how long ago, such as 90m or 2d, not "${text}"`);
  return timestampFromDate(date);
}

export function showTime(time: Timestamp | undefined): string {
  return time ? timestampDate(time).toISOString().replace(/\.\d+Z$/, 'Z') : '';
}

/** ORDER_STATE_PENDING_PAYMENT reads "pending payment". */
export function showEnum(schema: DescEnum, value: number): string {
  const known = schema.value[value];
  return known && value !== 0 ? known.localName.toLowerCase().replaceAll('_', ' ') : value === 0 ? '' : String(value);
}

/** Takes "pending_payment", "pending-payment", "PENDING_PAYMENT" or the full name. */
export function readEnums<T extends number>(schema: DescEnum, words: string[], what: string): T[] {
  const choices = schema.values.filter((value) => value.number !== 0);
  return words.map((word) => {
    const wanted = word.toUpperCase().replaceAll(/[- ]/g, '_');
    const found = choices.find((value) => value.localName === wanted || value.name === wanted);
    if (!found) throw new UsageError(`${what} is one of ${choices.map((value) => value.localName.toLowerCase()).join(', ')}, not "${word}"`);
    return found.number as T;
  });
}

/** "mug" is one, "mug:3" are three. */
export function readLine(text: string): { sku: string; quantity: number } {
  const match = /^([A-Za-z0-9._-]{1,64})(?::([1-9]\d{0,6}))?$/.exec(text);
  if (!match?.[1]) throw new UsageError(`"${text}" must be SKU or SKU:QUANTITY, such as mug:3`);
  return { sku: match[1], quantity: Number(match[2] ?? 1) };
}

/** "colour=blue" */
export function readPairs(texts: string[], what: string): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageError(`${what} must be NAME=VALUE, not "${text}"`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
