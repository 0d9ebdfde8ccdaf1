// Page tokens: where the next page starts, bound to the list and the filters that it was made for.
import { hash } from 'node:crypto';
import { refuse } from './errors.ts';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 500;
const MARK_CHARS = 16;

export function pageLimit(pageSize: number): number {
  return pageSize <= 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
}

/** `scope` is the RPC's name with the filters; `cursor` is anything JSON, also with bigints and Dates in it. */
export function encodePageToken(scope: string, cursor: unknown): string {
  const json = JSON.stringify(cursor, tagged);
  return Buffer.from(mark(scope, json) + json).toString('base64url');
}

/**
 * The cursor, or undefined for the first page (an empty token). A token of another list, or with other filters, is INVALID_PAGE_TOKEN.
 * The mark is no signature: whoever takes the trouble to forge one may choose where a list that he may read starts. So bind the cursor as a parameter.
 */
export function decodePageToken<C>(scope: string, token: string): C | undefined {
  if (token === '') return undefined;
  const text = Buffer.from(token, 'base64url').toString();
  const json = text.slice(MARK_CHARS);
  try {
    if (text.slice(0, MARK_CHARS) === mark(scope, json)) return JSON.parse(json, untagged) as C;
  } catch {
    // marked by hand, and not even JSON
  }
  throw refuse('INVALID_PAGE_TOKEN', 'the page token is not one of this list, or was made for other filters');
}

function mark(scope: string, json: string): string {
  return hash('sha256', `${scope}\n${json}`, 'base64url').slice(0, MARK_CHARS);
}

function tagged(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key]; // Dates arrive here as strings already
  if (typeof original === 'bigint') return { $bigint: String(original) };
  return original instanceof Date ? { $date: original.toISOString() } : value;
}

function untagged(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('$bigint' in value) return BigInt(value.$bigint as string);
  return '$date' in value ? new Date(value.$date as string) : value;
}
