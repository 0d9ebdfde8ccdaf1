// Printing: tables and facts for people, JSON for programs.
import { type DescMessage, type MessageShape, toJson } from '@bufbuild/protobuf';

export type Cell = string | number | boolean | undefined;
export type Output = {
  json: boolean;
  /** A whole answer: as JSON, or by `people`. */
  answer<D extends DescMessage>(schema: D, message: MessageShape<D>, people: () => void): void;
  /** One message of many: as JSON on a line of its own, or by `people`. */
  item<D extends DescMessage>(schema: D, message: MessageShape<D>, people: () => void): void;
  table(columns: string[], rows: Cell[][]): void;
  facts(facts: Record<string, Cell>): void;
  line(text: string): void;
  /** For the person at the terminal; never mixed into the output. */
  note(text: string): void;
};

export function createOutput(json: boolean, stdout: (text: string) => void, stderr: (text: string) => void): Output {
  const line = (text: string) => stdout(`${text}\n`);
  return {
    json,
    answer: (schema, message, people) => (json ? line(JSON.stringify(toJson(schema, message), undefined, 2)) : people()),
    item: (schema, message, people) => (json ? line(JSON.stringify(toJson(schema, message))) : people()),
    table(columns, rows) {
      if (rows.length === 0) stderr('Nothing found.\n');
      else for (const row of layOut([columns, ...rows])) line(row);
    },
    facts(facts) {
      const shown = Object.entries(facts).filter(([, value]) => value !== undefined && value !== '');
      for (const row of layOut(shown.map(([name, value]) => [`${name}:`, String(value)]))) line(row);
    },
    line: (text) => line(printable(text)),
    note: (text) => stderr(`${text}\n`),
  };
}

// Columns as wide as their widest cell; numbers to the right.
function layOut(rows: Cell[][]): string[] {
  const texts = rows.map((row) => row.map((cell) => printable(String(cell ?? '')).replaceAll(/\s+/g, ' ')));
  const widths = (texts[0] ?? []).map((_, column) => Math.max(...texts.map((row) => width(row[column] ?? ''))));
  return texts.map((row, r) => {
    const cells = row.map((text, column) => {
      const space = ' '.repeat((widths[column] ?? 0) - width(text));
      return typeof rows[r]?.[column] === 'number' || (r === 0 && typeof rows[1]?.[column] === 'number') ? space + text : text + space;
    });
    return cells.join('  ').trimEnd();
  });
}

// What others wrote (names, notes, causes) must not steer the terminal.
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\uFFFD');
}

function width(text: string): number {
  return Array.from(text).length;
}
