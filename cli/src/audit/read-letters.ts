// Reads what was buried: I14.
import { judgeLetter } from './events.ts';
import { SERVICES, type Tally } from './report.ts';
import { type World, windowValues } from './window.ts';

// Inboxes keep ids for 35 days: what was dealt with longer ago can't be told any more.
const LETTERS = `
  SELECT d.dead_letter_id, d.state, i.event_id IS NOT NULL, d.event_id, d.headers <> '{}', d.resolved_by, d.note, d.event_type
  FROM dead_letter d LEFT JOIN inbox i ON i.event_id::text = lower(d.event_id)
  WHERE d.create_time >= $1::timestamptz AND (d.resolve_time IS NULL OR d.resolve_time > now() - interval '34 days')`;
const STATES = { 1: 'open', 2: 'replayed', 3: 'discarded' } as const;

export async function checkLetters({ window, databases, have }: World, tally: Tally): Promise<void> {
  for (const service of SERVICES) {
    if (!have.has(service)) continue;
    let open = 0;
    for await (const batch of databases[service].rows(LETTERS, [windowValues(window)[1]])) {
      for (const [id, number, handled, eventId, headers, resolvedBy, note, type] of batch as string[][]) {
        tally.checked('I14');
        const state = STATES[Number(number) as 1 | 2 | 3];
        if (state === 'open') open += 1;
        const problem = judgeLetter({ id: id ?? '', state, handled: handled === 't', eventId: eventId ?? '', headers: headers === 't', resolvedBy: resolvedBy ?? '', note: note ?? '' });
        if (problem) tally.violated({ invariant: 'I14', what: `dead letter ${id} of ${service}${type ? ` (${type})` : ''}`, problem });
      }
    }
    if (open > 0) tally.note('I14', `${service} has ${open} open ${open === 1 ? 'letter' : 'letters'}: a person has to look`);
  }
}
