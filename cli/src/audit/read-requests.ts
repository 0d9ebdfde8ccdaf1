// Reads what was acknowledged, and under which request ids orders stand: I5 and I6.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { SourceAwayError } from './database.ts';
import { createIdCollector, repeated } from './ids.ts';
import { flat, keyed, mergeByKey, sortedLines } from './merge.ts';
import { judgeRequest, readJournalLine } from './orders.ts';
import type { Tally } from './report.ts';
import { type World, windowValues } from './window.ts';

// Two hashes over each other: to put the texts together first costs more than to hash them.
const REQUEST_HASH = `(hashtextextended(placed_by, 0) # hashtextextended(request_id, 1))`;
const REQUESTS = (piece: string): string => `SELECT string_agg(int8send(${REQUEST_HASH}), ''::bytea) FROM orders WHERE create_time >= $1::timestamptz AND ${piece}`;
// Of those whose hash is there more than once, by the texts themselves.
const TWICE = `
  SELECT placed_by, request_id, count(*), min(order_id) FROM orders
  WHERE create_time >= $1::timestamptz AND int8send(${REQUEST_HASH}) = ANY(SELECT decode(unnest($2::text[]), 'hex')) GROUP BY placed_by, request_id HAVING count(*) > 1`;
const PLACED = `SELECT translate(request_id, ' ', '_'), order_id FROM orders WHERE create_time >= $1::timestamptz ORDER BY translate(request_id, ' ', '_') COLLATE "C"`;

export async function checkRequests({ window, databases, journal, have }: World, tally: Tally): Promise<void> {
  if (!have.has('order')) return;
  const since = windowValues(window)[1];
  const ids = createIdCollector(await databases.order.expectedRows(['orders']));
  for await (const hashes of databases.order.pieces('orders', REQUESTS, [since])) ids.addHashes(hashes);
  const requests = ids.sorted();
  tally.checked('I6', requests.count);
  const alike = [...repeated(requests)];
  for await (const batch of alike.length > 0 ? databases.order.rows(TWICE, [since, alike]) : []) {
    for (const [by, requestId, count, orderId] of batch) tally.violated({ invariant: 'I6', what: `request ${requestId} of ${by}`, problem: `${count} orders, ${orderId} is one of them` });
  }
  if (journal === undefined) tally.note('I5', 'without the journal of whoever placed orders there is nothing to compare with (--journal)');
  else if (have.has('journal')) await checkJournal(journal, since, databases.order, tally);
}

async function checkJournal(journal: string, since: string, database: World['databases']['order'], tally: Tally): Promise<void> {
  const lines: string[] = [];
  let unreadable = 0;
  for await (const line of linesOf(journal)) {
    if (line.trim() === '') continue;
    const entry = readJournalLine(line);
    if (entry) lines.push(flat(`${oneWord(entry.requestId)} ${entry.outcome} ${entry.orderId}`));
    else unreadable += 1;
  }
  // The writer may have been killed in the middle of its last line.
  if (unreadable > 1) tally.note('I5', `${unreadable} lines of the journal could not be read`);
  await mergeByKey(
    { tries: sortedLines(lines), orders: keyed(database.rows(PLACED, [since]), (row) => row[1] ?? '') },
    (requestId, { tries, orders }) => {
      if (tries.length === 0) return;
      tally.checked('I5');
      const outcomes = tries.map((line) => line.split(' '));
      const orderIds = outcomes.flatMap(([outcome, orderId]) => (outcome === 'ok' && orderId ? [orderId] : []));
      for (const violation of judgeRequest({ requestId, ok: outcomes.some(([outcome]) => outcome === 'ok'), orderIds }, orders)) tally.violated(violation);
    },
  );
}

async function* linesOf(file: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Infinity });
  } catch (error) {
    throw new SourceAwayError('journal', error);
  }
}

function oneWord(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0020]/g, '_');
}
