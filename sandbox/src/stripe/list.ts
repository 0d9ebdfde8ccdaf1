// Stripe's lists: newest first, paged by id, filtered by creation time.
import type { Table } from '../store/table.ts';
import type { Call } from './call.ts';
import { badParam, missing } from './errors.ts';
import { filledText, integer } from './params.ts';
import type { Rendered } from './render.ts';

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 100;
const SCAN_LIMIT = 100_000; // records read for one page of a filtered list

interface Listing<T> {
  param: string;
  render(record: T): Rendered;
  /** Only these records, by number. */
  numbers?: readonly number[];
  /** Decided without reading the record. */
  keepNumber?(number: number): boolean;
  keep?(record: T): boolean;
}

export function listPage<T extends { id: string }>(call: Call, table: Table<T>, listing: Listing<T>): Rendered {
  const limit = integer(call.params, 'limit', { least: 1, most: MAX_LIMIT }) ?? DEFAULT_LIMIT;
  const after = cursor(call, table, 'starting_after', listing.param);
  const before = cursor(call, table, 'ending_before', listing.param);
  if (after !== undefined && before !== undefined) throw badParam('ending_before', undefined, 'You can only provide one of starting_after or ending_before.');
  const { from, to } = createdRange(call, table);

  const found: T[] = [];
  const upwards = before !== undefined;
  const lowest = Math.max(from, upwards ? before + 1 : 0);
  const highest = Math.min(to, after === undefined ? Number.MAX_SAFE_INTEGER : after - 1);
  let scanned = 0;
  for (const number of numbersOf(listing.numbers, lowest, highest, upwards)) {
    if (listing.keepNumber && !listing.keepNumber(number)) continue;
    if (++scanned > SCAN_LIMIT) break;
    const record = table.at(number);
    if (!record || (listing.keep && !listing.keep(record))) continue;
    found.push(record);
    if (found.length > limit) break;
  }
  const page = found.slice(0, limit);
  if (upwards) page.reverse();
  return { object: 'list', url: call.path, has_more: found.length > limit, data: page.map((record) => listing.render(record)) };
}

function cursor<T extends { id: string }>(call: Call, table: Table<T>, name: string, param: string): number | undefined {
  const id = filledText(call.params, name);
  if (id === undefined) return undefined;
  if (!table.get(id)) throw missing(param, id.slice(0, 100), name, 400);
  return table.numberOf(id);
}

function* numbersOf(numbers: readonly number[] | undefined, lowest: number, highest: number, upwards: boolean): Generator<number> {
  if (numbers) {
    const inside = numbers.filter((number) => number >= lowest && number <= highest).sort((a, b) => a - b);
    yield* upwards ? inside : inside.reverse();
  } else if (upwards) for (let number = lowest; number <= highest; number++) yield number;
  else for (let number = highest; number >= lowest; number--) yield number;
}

/** `created=…` or `created[gte]=…` as a range of numbers: records are numbered in the order of their creation. */
function createdRange<T extends { id: string }>(call: Call, table: Table<T>): { from: number; to: number } {
  const range = { from: 0, to: table.count() - 1 };
  const created = call.params['created'];
  if (created === undefined) return range;
  const bounds = typeof created === 'string' ? { gte: created, lte: created } : created;
  for (const [name, text] of Object.entries(bounds)) {
    if (typeof text !== 'string' || !/^\d{1,12}$/.test(text)) throw badParam(`created[${name.slice(0, 20)}]`, 'parameter_invalid_integer', `Invalid timestamp: created must be a Unix time in seconds`);
    const time = Number(text);
    if (name === 'gte') range.from = Math.max(range.from, firstAtOrAfter(table, time));
    else if (name === 'gt') range.from = Math.max(range.from, firstAtOrAfter(table, time + 1));
    else if (name === 'lt') range.to = Math.min(range.to, firstAtOrAfter(table, time) - 1);
    else if (name === 'lte') range.to = Math.min(range.to, firstAtOrAfter(table, time + 1) - 1);
    else throw badParam(`created[${name.slice(0, 20)}]`, 'parameter_unknown', `Received unknown parameter: created[${name.slice(0, 20)}]`);
  }
  return range;
}

function firstAtOrAfter<T extends { id: string }>(table: Table<T>, time: number): number {
  let low = 0;
  let high = table.count();
  while (low < high) {
    const middle = (low + high) >> 1;
    if (table.created(middle) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
