// Fills a fresh system with finished orders: a hundred real ones, and copies of them.
import { createCopy } from '../../../test/support/copies.ts';
import type { Broker } from '../consumers.ts';
import type { System } from '../system.ts';
import { TEMPLATE_ORDERS, placeTemplate } from './template.ts';

/** Makes the system hold so many finished orders in all; more each time. */
export type Filler = (orders: number) => Promise<void>;

/** `most`: orders that there will be in all. The system must hold nothing yet. */
export async function createFiller(system: System, broker: Broker, most: number): Promise<Filler> {
  await placeTemplate(system, broker);
  const databases = Object.keys(system.runtime.postgres);
  const copies = await Promise.all(databases.map((database) => createCopy(Object.assign(new URL(system.adminUrl), { pathname: `/${database}` }).href, copiesFor(most))));
  let made = 0;
  return async (orders) => {
    const from = made;
    made = copiesFor(orders);
    await Promise.all(copies.map((copy) => copy(from, made)));
  };
}

// The template counts too.
const copiesFor = (orders: number): number => Math.max(0, Math.round(orders / TEMPLATE_ORDERS) - 1);
