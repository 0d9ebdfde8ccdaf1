// Which path is which operation. An operation's name is what a fault is aimed at.
import type { Call, Result } from './call.ts';
import * as charges from './charges.ts';
import * as disputes from './disputes.ts';
import * as events from './events.ts';
import { cancel, captureIntent } from './intent-steps.ts';
import * as intents from './payment-intents.ts';
import * as refunds from './refunds.ts';
import { search } from './search.ts';

export interface Route {
  name: string;
  run(call: Call): Result;
}

const ROUTES = new Map<string, Route>(
  Object.entries({
    'POST payment_intents': { name: 'payment_intents.create', run: intents.create },
    'GET payment_intents': { name: 'payment_intents.list', run: intents.list },
    'GET payment_intents/search': { name: 'payment_intents.search', run: search },
    'GET payment_intents/:id': { name: 'payment_intents.retrieve', run: intents.retrieve },
    'POST payment_intents/:id': { name: 'payment_intents.update', run: intents.update },
    'POST payment_intents/:id/confirm': { name: 'payment_intents.confirm', run: intents.confirmIntent },
    'POST payment_intents/:id/cancel': { name: 'payment_intents.cancel', run: cancel },
    'POST payment_intents/:id/capture': { name: 'payment_intents.capture', run: captureIntent },
    'POST refunds': { name: 'refunds.create', run: refunds.create },
    'GET refunds': { name: 'refunds.list', run: refunds.list },
    'GET refunds/:id': { name: 'refunds.retrieve', run: refunds.retrieve },
    'POST refunds/:id': { name: 'refunds.update', run: refunds.update },
    'GET charges': { name: 'charges.list', run: charges.list },
    'GET charges/:id': { name: 'charges.retrieve', run: charges.retrieve },
    'GET disputes': { name: 'disputes.list', run: disputes.list },
    'GET disputes/:id': { name: 'disputes.retrieve', run: disputes.retrieve },
    'POST disputes/:id': { name: 'disputes.update', run: disputes.update },
    'POST disputes/:id/close': { name: 'disputes.close', run: disputes.close },
    'GET events': { name: 'events.list', run: events.list },
    'GET events/:id': { name: 'events.retrieve', run: events.retrieve },
  } satisfies Record<string, Route>),
);

export function findRoute(method: string, path: string): { route: Route; id: string } | undefined {
  const [start, version, noun, id, verb, ...more] = path.split('/');
  if (start !== '' || version !== 'v1' || !noun || more.length > 0 || id === '' || verb === '') return undefined;
  if (id === undefined) return known(`${method} ${noun}`, '');
  if (verb !== undefined) return known(`${method} ${noun}/:id/${verb}`, id);
  return known(`${method} ${noun}/${id}`, '') ?? known(`${method} ${noun}/:id`, id);
}

function known(pattern: string, id: string): { route: Route; id: string } | undefined {
  const route = ROUTES.get(pattern);
  return route && { route, id };
}
