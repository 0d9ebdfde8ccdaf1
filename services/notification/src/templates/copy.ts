// What every language must have words for. Plain text, as functions of the facts; what comes out empty is left out.

import type { Details, Kind } from '../notification.ts';

/** All that words may tell of: each is empty when it is not known, and ready to be read. */
export type Facts = Record<Exclude<keyof Details, 'cause' | 'topic' | 'currency'> | 'shop' | 'orderId' | 'customer', string> & {
  cause: 'expired' | 'out_of_stock' | 'operator' | 'buyer';
  topic: 'dispute' | 'shortfall';
};

export type Words = {
  subject: string;
  heading: string;
  body: string[];
  /** Label and value, shown as a small table. */
  facts?: [label: string, value: string][];
  button?: { label: string; url: string };
  sms?: string;
};

export type Copy = {
  locale: string;
  greeting: (facts: Facts) => string;
  footer: (facts: Facts) => string;
  /** To the admins nobody says hello. */
  adminFooter: (facts: Facts) => string;
  labels: { item: string; quantity: string; price: string; total: string };
  words: Record<Kind, (facts: Facts) => Words>;
};
