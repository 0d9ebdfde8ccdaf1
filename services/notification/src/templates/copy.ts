// What every language must have words for. Strings are Handlebars templates; what comes out empty is left out.

import type { Kind } from '../notification.ts';

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
  greeting: string;
  footer: string;
  /** To the admins nobody says hello. */
  adminFooter: string;
  labels: { item: string; quantity: string; price: string; total: string };
  words: Record<Kind, Words>;
};
