// SQL as tagged templates: every value a parameter, every statement a named prepared one.

import { hash } from 'node:crypto';
import { type Column, arraysOf } from './pg-array.ts';

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

/** The columns of a rowset, by name. */
export type Columns<T> = Record<string, Column<T>>;

/**
 * Makes items something to select from, in their order, under the name `name`. Each column is one parameter: with rows made of JSON the
 * statements of an order cost Postgres a tenth to a fifth more.
 */
export function rowset<T>(name: string, columns: Columns<T>): (items: readonly T[]) => Statement {
  const described = Object.values(columns);
  const parameters = described.map(([type], i) => `$${i + 1}::${type}[]`);
  const text = `unnest(${parameters.join(', ')}) AS ${name} (${Object.keys(columns).join(', ')})`;
  const id = nameOf(text);
  return (items) => new Statement(text, arraysOf(described, items), id);
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

/** All conditions that there are; without one, whatever there is. */
export function allOf(conditions: readonly (Statement | false | undefined)[]): Statement {
  return conditions.filter((condition) => condition instanceof Statement).reduce((all, condition) => sql`${all} AND ${condition}`, sql`true`);
}

/** A text as LIKE takes it for itself. */
export function likeText(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`);
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
  return { text, name: nameOf(text) };
}

/** Names for the first `most` texts; the rest have none and are planned each time, so that who chooses the texts does not choose how much is kept. */
export function statementNames(most: number): (text: string) => string | undefined {
  const names = new Map<string, string>();
  return (text) => {
    if (!names.has(text) && names.size < most) names.set(text, nameOf(text));
    return names.get(text);
  };
}

const nameOf = (text: string): string => hash('sha256', text).slice(0, 32);
