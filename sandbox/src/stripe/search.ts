// GET /v1/payment_intents/search: `metadata['order_id']:'17' AND status:'succeeded'`. A clause on order_id is answered
// from an index; anything else walks back over the newest intents.
import type { Intent } from '../store/records.ts';
import type { Call, Result } from './call.ts';
import { badParam, badRequest } from './errors.ts';
import { filledText, integer, onlyKnown, required } from './params.ts';
import { renderIntent } from './render.ts';

const SCAN_LIMIT = 20_000; // intents looked at for a query without an order_id
const CLAUSE = /^(-?)(?:metadata\[(["'])([^"']{1,40})\2\]|(amount|created|currency|status))(:|~|>=|<=|>|<)(?:(["'])((?:[^"'\\]|\\.)*)\6|(-?\d{1,15})|(null))/;

export function search(call: Call): Result {
  onlyKnown(call.params, new Set(['expand', 'limit', 'page', 'query']));
  const query = required(filledText(call.params, 'query', 4000), 'query');
  const limit = integer(call.params, 'limit', { least: 1, most: 100 }) ?? 10;
  const page = filledText(call.params, 'page');
  if (page !== undefined && !/^page_\d{1,15}$/.test(page)) throw badParam('page', undefined, 'Invalid page');
  const clauses = parse(query);
  const { intents, intentsByOrder } = call.store;
  const order = clauses.find((clause) => clause.field === 'metadata' && clause.key === 'order_id' && clause.operator === ':' && !clause.negated && clause.value !== null);
  const highest = page === undefined ? intents.count() - 1 : Number(page.slice(5));
  const numbers = order ? [...intentsByOrder.get(order.value as string)].reverse().filter((number) => number <= highest) : countDown(highest);

  const found: { number: number; intent: Intent }[] = [];
  for (const number of numbers) {
    const intent = intents.at(number);
    if (intent && clauses.every((clause) => matches(intent, clause))) found.push({ number, intent });
    if (found.length > limit) break;
  }
  const next = found[limit];
  const data = found.slice(0, limit).map(({ intent }) => renderIntent(intent, call.render));
  return { object: { object: 'search_result', url: call.path, has_more: next !== undefined, next_page: next ? `page_${next.number}` : null, data } };
}

function* countDown(highest: number): Generator<number> {
  for (let number = highest; number >= Math.max(0, highest - SCAN_LIMIT); number--) yield number;
}

interface Clause {
  negated: boolean;
  field: 'metadata' | 'amount' | 'created' | 'currency' | 'status';
  key: string;
  operator: string;
  value: string | null; // null: the key must be absent
}

function parse(query: string): Clause[] {
  const clauses: Clause[] = [];
  let rest = query.trim();
  while (rest !== '') {
    const found = CLAUSE.exec(rest);
    if (!found) throw badRequest(`We were unable to parse your search query. Try using the format \`metadata["key"]:"value"\` to query for metadata or key:"value" to query for other fields.`);
    const [whole, minus, , key, field, operator, , quoted, digits] = found;
    clauses.push({
      negated: minus === '-',
      field: (field ?? 'metadata') as Clause['field'],
      key: key ?? '',
      operator: operator ?? ':',
      value: quoted?.replaceAll(/\\(.)/g, '$1') ?? digits ?? null,
    });
    rest = rest.slice(whole.length).trim();
    if (rest === '') break;
    const and = /^AND\s+(?=\S)/i.exec(rest);
    if (!and && /^OR\s/i.test(rest)) throw badRequest('The sandbox understands search clauses joined by AND only.');
    rest = and ? rest.slice(and[0].length) : rest;
  }
  if (clauses.length > 10) throw badRequest('A search query can have at most 10 clauses.');
  return clauses;
}

function matches(intent: Intent, clause: Clause): boolean {
  const actual = clause.field === 'metadata' ? intent.metadata[clause.key] : String(intent[clause.field]);
  const { operator, value } = clause;
  let holds: boolean;
  if (value === null) holds = actual === undefined;
  else if (actual === undefined) holds = false;
  else if (operator === ':') holds = actual === value;
  else if (operator === '~') holds = actual.includes(value);
  else if (operator === '>') holds = Number(actual) > Number(value);
  else if (operator === '<') holds = Number(actual) < Number(value);
  else if (operator === '>=') holds = Number(actual) >= Number(value);
  else holds = Number(actual) <= Number(value);
  return holds !== clause.negated;
}
