// Endpoints of /v1/events: what the webhooks say, to be fetched.
import type { EventRecord } from '../store/records.ts';
import type { Call, Result } from './call.ts';
import { missing } from './errors.ts';
import { listPage } from './list.ts';
import { bool, filledText, onlyKnown, texts } from './params.ts';
import { renderEvent, type Rendered } from './render.ts';

export function retrieve(call: Call): Result {
  onlyKnown(call.params, new Set(['expand']));
  const event = call.store.events.get(call.id);
  if (!event) throw missing('event', call.id.slice(0, 100), 'id', 404);
  return { object: render(call, event) };
}

export function list(call: Call): Result {
  onlyKnown(call.params, new Set(['created', 'delivery_success', 'ending_before', 'expand', 'limit', 'starting_after', 'type', 'types']));
  const { events, eventTypes, outstanding } = call.store;
  const type = filledText(call.params, 'type');
  const types = type === undefined ? texts(call.params, 'types') : [type];
  const delivered = bool(call.params, 'delivery_success');
  const wanted = types.map((name) => (name.endsWith('*') ? (value: string) => value.startsWith(name.slice(0, -1)) : (value: string) => value === name));
  return {
    object: listPage(call, events, {
      param: 'event',
      render: (event: EventRecord) => render(call, event),
      ...(wanted.length > 0 && { keepNumber: (number: number) => wanted.some((matches) => matches(eventTypes[number] ?? '')) }),
      ...(delivered !== undefined && { keep: (event: EventRecord) => outstanding.has(event.id) !== delivered }),
    }),
  };
}

function render(call: Call, event: EventRecord): Rendered {
  const { events, outstanding } = call.store;
  const line = events.line(events.numberOf(event.id));
  if (!line) throw new Error(`event ${event.id} has no line`);
  return renderEvent(line, event, outstanding.has(event.id) ? 1 : 0, call.render);
}
