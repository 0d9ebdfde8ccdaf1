// `expand[]=latest_charge`: replaces an id by the object it names. On lists the path starts with `data.`.
import type { Charge } from '../store/records.ts';
import { badParam } from './errors.ts';
import { type RenderContext, type Rendered, renderCharge, renderIntent, renderMethod } from './render.ts';

const MAX_DEPTH = 4; // as at Stripe

/** Fields that hold an id here; the others that Stripe can expand are always null in the sandbox. */
const LINKS: Record<string, readonly string[]> = {
  payment_intent: ['latest_charge', 'payment_method'],
  charge: ['payment_intent'],
  refund: ['charge', 'payment_intent'],
  dispute: ['charge', 'payment_intent'],
};
const ALWAYS_NULL = new Set(['customer', 'on_behalf_of', 'application', 'review', 'source', 'balance_transaction', 'transfer_data', 'invoice']);

export function expand(object: Rendered, paths: readonly string[], context: RenderContext): Rendered {
  for (const path of paths) {
    const steps = path.split('.');
    if (steps.length > MAX_DEPTH) throw badParam('expand', undefined, `You cannot expand more than ${MAX_DEPTH} levels of a property. Property: ${path.slice(0, 100)}`);
    follow(object, steps, path, context);
  }
  return object;
}

function follow(object: Rendered, steps: readonly string[], path: string, context: RenderContext): void {
  const [step, ...rest] = steps;
  if (step === undefined) return;
  if (object['object'] === 'list' || object['object'] === 'search_result') {
    if (step !== 'data') throw notExpandable(path);
    for (const item of object['data'] as Rendered[]) follow(item, rest, path, context);
    return;
  }
  const kind = String(object['object']);
  if (ALWAYS_NULL.has(step)) return;
  if (!LINKS[kind]?.includes(step)) throw notExpandable(path);
  const value = object[step];
  if (typeof value === 'string') object[step] = load(object, step, value, context) ?? value;
  const loaded = object[step];
  if (rest.length > 0 && typeof loaded === 'object' && loaded !== null) follow(loaded as Rendered, rest, path, context);
}

function load(object: Rendered, step: string, id: string, context: RenderContext): Rendered | null {
  if (step === 'payment_intent') {
    const intent = context.intent(id);
    return intent ? renderIntent(intent, context) : null;
  }
  if (step === 'payment_method') return renderMethod(id, context.intent(String(object['id']))?.testMethod);
  const charge: Charge | undefined = context.charge(id);
  return charge ? renderCharge(charge) : null;
}

const notExpandable = (path: string) =>
  badParam('expand', undefined, `This property cannot be expanded (${path.slice(0, 100)}).`);
