// Reads single parameters as Stripe does, with Stripe's own words for what is wrong.
import type { Metadata } from '../store/records.ts';
import { badParam, StripeRefusal, withDocs } from './errors.ts';
import { listOf, type Params } from './form.ts';

const MAX_METADATA_KEYS = 50;
const MAX_METADATA_KEY = 40;
const MAX_METADATA_VALUE = 500;

export function onlyKnown(params: Params, known: ReadonlySet<string>): void {
  const unknown = Object.keys(params).filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  const message = unknown.length === 1 ? `Received unknown parameter: ${unknown[0]?.slice(0, 100)}` : `Received unknown parameters: ${unknown.slice(0, 20).join(', ').slice(0, 400)}`;
  throw new StripeRefusal(400, withDocs({ type: 'invalid_request_error', code: 'parameter_unknown', message, param: unknown[0]?.slice(0, 100) }));
}

export function text(params: Params, name: string, most: number = 5000): string | undefined {
  const value = params[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw badParam(name, undefined, `Invalid string: ${name} must be a string, not a hash.`);
  if (value.length > most) throw badParam(name, 'parameter_invalid_string_too_long', `Invalid string: ${name} must be at most ${most} characters`);
  return value;
}

export function filledText(params: Params, name: string, most?: number): string | undefined {
  const value = text(params, name, most);
  if (value === '') {
    throw badParam(name, 'parameter_invalid_empty', `You passed an empty string for '${name}'. We assume empty values are an attempt to unset a parameter; however '${name}' cannot be unset. You should remove '${name}' from your request or supply a non-empty value.`);
  }
  return value;
}

export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw badParam(name, 'parameter_missing', `Missing required param: ${name}.`);
  return value;
}

export function integer(params: Params, name: string, range: { least: number; most: number }): number | undefined {
  const value = filledText(params, name);
  if (value === undefined) return undefined;
  if (!/^-?\d{1,15}$/.test(value)) throw badParam(name, 'parameter_invalid_integer', `Invalid integer: ${value.slice(0, 50)}`);
  const number = Number(value);
  if (number < range.least) throw badParam(name, 'parameter_invalid_integer', `This value must be greater than or equal to ${range.least}.`);
  if (number > range.most) throw badParam(name, 'parameter_invalid_integer', `This value must be less than or equal to ${range.most} (it currently is '${value}').`);
  return number;
}

export function bool(params: Params, name: string): boolean | undefined {
  const value = filledText(params, name);
  if (value === undefined) return undefined;
  if (value !== 'true' && value !== 'false') throw badParam(name, undefined, `Invalid boolean: ${value.slice(0, 50)}`);
  return value === 'true';
}

export function choice<T extends string>(params: Params, name: string, allowed: readonly T[]): T | undefined {
  const value = filledText(params, name);
  if (value === undefined) return undefined;
  if (!allowed.includes(value as T)) {
    throw badParam(name, undefined, `Invalid ${name}: must be one of ${allowed.slice(0, -1).join(', ')}, or ${allowed.at(-1)}`);
  }
  return value as T;
}

export function hash(params: Params, name: string): Params | undefined {
  const value = params[name];
  if (typeof value === 'string') throw badParam(name, undefined, `Invalid hash`);
  return value;
}

export function texts(params: Params, name: string): string[] {
  return listOf(params[name]).map((value) => {
    if (typeof value !== 'string') throw badParam(name, undefined, 'Invalid array');
    return value;
  });
}

/** `before` with the given changes: an empty value deletes its key, an empty `metadata` deletes all. */
export function metadata(params: Params, before: Metadata): Metadata {
  const changes = params['metadata'];
  if (changes === undefined) return before;
  if (changes === '') return {};
  if (typeof changes === 'string') throw badParam('metadata', undefined, 'Invalid hash');
  const after = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(changes)) {
    if (typeof value !== 'string') throw badParam(`metadata[${key.slice(0, 50)}]`, undefined, 'Metadata values must be strings, not hashes.');
    if (key.length > MAX_METADATA_KEY) throw badParam('metadata', undefined, `Metadata keys can have up to ${MAX_METADATA_KEY} characters; "${key.slice(0, 60)}" has ${key.length}.`);
    if (value.length > MAX_METADATA_VALUE) throw badParam(`metadata[${key}]`, undefined, `Metadata values can have up to ${MAX_METADATA_VALUE} characters; this one has ${value.length}.`);
    if (value === '') after.delete(key);
    else after.set(key, value);
  }
  if (after.size > MAX_METADATA_KEYS) throw badParam('metadata', undefined, `You can have up to ${MAX_METADATA_KEYS} keys of metadata; this would be ${after.size}.`);
  return Object.fromEntries(after);
}
