// SQL as tagged templates: every value a parameter, every statement a named prepared one.

import { hash } from 'node:crypto';

export class Statement {
  readonly text: string;
  readonly values: unknown[];
  readonly name: string;
  constructor(text: string, values: unknown[], name: string) {
    this.text = text;
    this.values = values;
    this.name = name;
  }
}

type Prepared = { text: string; name: string };

/** By template, and within it by the statements that stand in its holes. */
const prepared = new WeakMap<TemplateStringsArray, Map<string, Prepared>>();

/**
 * A statement whose holes are parameters, or other statements made here, which become a part of it: never identifiers or pieces of SQL.
 * Its name is a hash of its text.
 */
export function sql(strings: TemplateStringsArray, ...holes: unknown[]): Statement {
  const parts = holes.map((hole) => (hole instanceof Statement ? hole.name : '')).join();
  let variants = prepared.get(strings);
  if (variants === undefined) prepared.set(strings, (variants = new Map()));
  let known = variants.get(parts);
  if (known === undefined) variants.set(parts, (known = prepare(strings, holes)));
  const values = holes.flatMap((hole) => (hole instanceof Statement ? hole.values : [hole]));
  return new Statement(known.text, values, known.name);
}

function prepare(strings: TemplateStringsArray, holes: unknown[]): Prepared {
  let [text, used] = [strings[0] ?? '', 0];
  holes.forEach((hole, i) => {
    const before = used;
    if (hole instanceof Statement) {
      text += hole.text.replaceAll(/\$(\d+)/g, (_, place: string) => `$${before + Number(place)}`);
      used += hole.values.length;
    } else text += `$${(used += 1)}`;
    text += strings[i + 1] ?? '';
  });
  return { text, name: hash('sha256', text).slice(0, 32) };
}
