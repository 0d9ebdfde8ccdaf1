// Reads the messages of each (order, kind, channel) as notification has them and as the providers have taken them.
import { flat, keyed, mergeByKey, sortedLines } from './merge.ts';
import { judgeMessage } from './messages.ts';
import { messageRows } from './provider.ts';
import type { Tally } from './report.ts';
import { type World, isYoung, windowValues, young } from './window.ts';

const MESSAGES = `
  SELECT * FROM (SELECT translate(order_id, ' ', '_') || '/' || kind || '/' || channel AS key, count(*) FILTER (WHERE dedupe_key NOT LIKE 'resend:%'),
    count(*) FILTER (WHERE state IN ('sent', 'delivered', 'bounced')), count(*) FILTER (WHERE sending OR (state = 'failed' AND attempts > 0)),
    bool_or(${young('greatest(create_time, sending_time, send_time)')})
  FROM notification GROUP BY order_id, kind, channel HAVING max(create_time) >= $2::timestamptz) messages ORDER BY key COLLATE "C"`;

export async function checkMessages({ window, databases, sandbox, have }: World, tally: Tally): Promise<void> {
  if (!have.has('notification')) return;
  const lines: string[] = [];
  const channels = new Set<string>();
  if (sandbox === undefined) tally.note('I9', 'the providers of mails and text messages are real ones: only our own rows were checked');
  for (const source of ['mails', 'texts'] as const) {
    if (sandbox === undefined || !have.has(source)) continue;
    channels.add(source === 'mails' ? 'email' : 'sms');
    for await (const { time, key } of messageRows(sandbox, source)) lines.push(flat(`${key} ${isYoung(time, window) ? 't' : 'f'}`));
  }
  await mergeByKey(
    {
      rows: keyed(databases.notification.rows(MESSAGES, windowValues(window)), ([, ...counts]) => counts),
      ledger: sortedLines(lines),
    },
    (key, { rows, ledger }) => {
      const [count, sent, doubtful, moving] = rows[0] ?? [];
      if (rows.length === 0 && window.since) return;
      tally.checked('I9');
      const delivered = channels.has(key.slice(key.lastIndexOf('/') + 1)) ? ledger.length : undefined;
      const facts = { key, rows: Number(count ?? 0), sent: Number(sent ?? 0), doubtful: Number(doubtful ?? 0), delivered, moving: moving === 't' || ledger.includes('t') };
      for (const violation of judgeMessage(facts)) tally.violated(violation);
    },
  );
}
