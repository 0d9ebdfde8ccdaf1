// Stripe's form encoding: `metadata[order_id]=1&expand[0]=latest_charge&types[]=card` → nested objects of texts.
import { badRequest } from './errors.ts';

const MAX_PAIRS = 1000;
const MAX_DEPTH = 6;

export interface Params {
  [name: string]: string | Params;
}

export function parseForm(text: string): Params {
  const root = emptyParams();
  if (text === '') return root;
  const pairs = text.split('&');
  if (pairs.length > MAX_PAIRS) throw badRequest(`Too many parameters: at most ${MAX_PAIRS} are accepted.`);
  for (const pair of pairs) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    set(root, keysOf(name), equals < 0 ? '' : decode(pair.slice(equals + 1)), name);
  }
  return root;
}

/** The values of `a[]=…`, `a[0]=…`. */
export function listOf(value: string | Params | undefined): (string | Params)[] {
  if (value === undefined || value === '') return [];
  return typeof value === 'string' ? [value] : Object.values(value);
}

// Without a prototype, a parameter named __proto__ is a name like any other.
const emptyParams = (): Params => Object.create(null) as Params;

function decode(text: string): string {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw badRequest('Invalid request: the parameters hold a malformed percent-encoding.');
  }
}

function keysOf(name: string): string[] {
  const bracket = name.indexOf('[');
  if (bracket < 0) return [name];
  const rest = name.slice(bracket);
  if (bracket === 0 || !/^(\[[^[\]]*\])+$/.test(rest)) throw badRequest(`Invalid parameter name: ${name.slice(0, 100)}`);
  const keys = [name.slice(0, bracket), ...rest.slice(1, -1).split('][')];
  if (keys.length > MAX_DEPTH) throw badRequest(`Invalid parameter name: ${name.slice(0, 100)} is nested too deeply.`);
  return keys;
}

function set(root: Params, keys: string[], value: string, name: string): void {
  let place = root;
  for (const key of keys.slice(0, -1)) {
    const next = (place[key] ??= emptyParams());
    if (typeof next === 'string') throw badRequest(`Invalid parameters: ${name.slice(0, 100)} is given both as a text and as a hash.`);
    place = next;
  }
  const last = keys.at(-1) as string;
  const key = last === '' ? String(Object.keys(place).length) : last;
  if (typeof place[key] === 'object') throw badRequest(`Invalid parameters: ${name.slice(0, 100)} is given both as a text and as a hash.`);
  place[key] = value;
}
