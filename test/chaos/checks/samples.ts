// Requests made from their descriptors: what a contract allows, with known values wherever a field has that name.
import { type DescField, type DescMessage, type Message, ScalarType, create } from '@bufbuild/protobuf';

/** By proto field name. */
export type Known = Record<string, unknown>;

/** Messages inside a request that it can't be without. */
const NEEDED = new Set(['customer', 'lines', 'product', 'preferences', 'price', 'update_mask', 'requests']);

const USUAL: Known = {
  sku: 'sample', order_id: 'sample', customer_id: 'sample', notification_id: 'sample', dead_letter_id: 'sample', request_id: 'sample',
  quantity: 1, delta: 1, minor_units: 100n, currency_code: 'EUR', name: 'Sample', email: 'sample@example.com', reason: 'sample',
  template: 'order_confirmation', payment_method: 'pm_card_visa', paths: ['name'], page_size: 1, dry_run: true, country_code: 'DE',
};

export function sampleOf(input: DescMessage, known: Known = {}): Message {
  return create(input, fill(input, { ...USUAL, ...known }));
}

function fill(message: DescMessage, known: Known): Record<string, unknown> {
  const entries = message.fields.map((field) => [field.localName, valueOf(field, known)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function valueOf(field: DescField, known: Known): unknown {
  const { name } = field;
  switch (field.fieldKind) {
    case 'message':
      return NEEDED.has(name) ? fill(field.message, known) : undefined;
    case 'list': {
      if (field.listKind === 'message') return NEEDED.has(name) ? [fill(field.message, known)] : undefined;
      const one = known[name] ?? known[name.replace(/s$/, '')];
      return one === undefined || Array.isArray(one) ? one : [one];
    }
    case 'scalar':
      return known[name];
    default:
      return undefined;
  }
}

/** A place for a text in a request: where it is, and how to put one there. */
export type TextField = { path: string; set: (request: Message, text: string) => void };

/** Every string that a sample of this message has room for, inner messages included. */
export function textFieldsOf(input: DescMessage): TextField[] {
  return input.fields.flatMap((field): TextField[] => {
    const { name, localName } = field;
    const at = (request: Message) => request as unknown as Record<string, unknown>;
    if (field.fieldKind === 'scalar' && field.scalar === ScalarType.STRING) return [{ path: name, set: (request, text) => void (at(request)[localName] = text) }];
    if (field.fieldKind === 'list' && field.listKind === 'scalar' && field.scalar === ScalarType.STRING) return [{ path: name, set: (request, text) => void (at(request)[localName] = [text]) }];
    if (field.fieldKind === 'map') return field.mapKind === 'scalar' ? [{ path: name, set: (request, text) => void (at(request)[localName] = { [text.slice(0, 64)]: text }) }] : [];
    if (field.fieldKind !== 'message' && !(field.fieldKind === 'list' && field.listKind === 'message')) return [];
    const { message } = field;
    return textFieldsOf(message).map(({ path, set }) => ({
      path: `${name}.${path}`,
      set(request, text) {
        const inner = field.fieldKind === 'list' ? (at(request)[localName] as Message[])[0] : (at(request)[localName] as Message | undefined);
        const target = inner ?? create(message);
        if (inner === undefined) at(request)[localName] = field.fieldKind === 'list' ? [target] : target;
        set(target, text);
      },
    }));
  });
}
