// SQL as tagged templates: every value a parameter, every statement a named prepared one.

import { createHash } from 'node:crypto';

export type Statement = { text: string; values: unknown[]; name: string };

const prepared = new WeakMap<TemplateStringsArray, { text: string; name: string }>();

/** A statement whose holes are parameters, never identifiers or pieces of SQL. Its name is a hash of its text. */
export function sql(strings: TemplateStringsArray, ...values: unknown[]): Statement {
  let known = prepared.get(strings);
  if (known === undefined) {
    const text = strings.reduce((whole, part, i) => `${whole}$${i}${part}`);
    known = { text, name: createHash('sha256').update(text).digest('hex').slice(0, 32) };
    prepared.set(strings, known);
  }
  return { ...known, values };
}
