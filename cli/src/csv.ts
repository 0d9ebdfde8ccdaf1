// Comma separated values as RFC 4180 has them: quoted fields may hold commas, quotes ("") and line breaks.

/** Refuses what isn't CSV, with the line it happened on. */
export class CsvError extends Error {
  override name = 'CsvError';
}

/** A field longer than this is a forgotten quote. */
const MAX_FIELD_CHARS = 100_000;

export type Row = { line: number; values: Record<string, string> };

/** Rows by the names in the first line; a file may come in any pieces. Empty lines are skipped. */
export async function* readCsv(chunks: AsyncIterable<string> | Iterable<string>): AsyncGenerator<Row> {
  let names: string[] | undefined;
  for await (const { line, fields } of readRecords(chunks)) {
    if (fields.length === 1 && fields[0] === '') continue;
    if (!names) {
      names = headerOf(fields);
      continue;
    }
    if (fields.length !== names.length) throw new CsvError(`line ${line} has ${fields.length} fields, the first line has ${names.length}`);
    yield { line, values: Object.fromEntries(names.map((name, i) => [name, fields[i] ?? ''])) };
  }
}

function headerOf(fields: string[]): string[] {
  const names = fields.map((name) => name.trim());
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new CsvError(`the first line names the column "${twice}" twice`);
  return names;
}

async function* readRecords(chunks: AsyncIterable<string> | Iterable<string>): AsyncGenerator<{ line: number; fields: string[] }> {
  let fields: string[] = [];
  let field = '';
  let state: 'start' | 'plain' | 'quoted' | 'quote in quoted' = 'start';
  let line = 1;
  let began = 1;
  let first = true;
  const take = () => {
    fields.push(field);
    field = '';
    state = 'start';
  };
  for await (const chunk of chunks) {
    for (const character of first ? chunk.replace(/^\uFEFF/, '') : chunk) {
      first = false;
      if (field.length > MAX_FIELD_CHARS) throw new CsvError(`a field that begins on line ${began} does not end; is a quote missing?`);
      if (state === 'quoted') {
        if (character === '"') state = 'quote in quoted';
        else field += character;
        if (character === '\n') line += 1;
      } else if (character === ',') {
        take();
      } else if (character === '\n') {
        if (state === 'plain') field = field.replace(/\r$/, '');
        take();
        yield { line: began, fields };
        fields = [];
        line += 1;
        began = line;
      } else if (character === '"' && state !== 'plain') {
        if (state === 'quote in quoted') field += '"';
        state = 'quoted';
      } else if (state === 'quote in quoted') {
        if (character !== '\r') throw new CsvError(`line ${line}: a quoted field goes on after its closing quote`);
      } else {
        if (character === '"') throw new CsvError(`line ${line}: a quote inside a field that does not begin with one`);
        field += character;
        state = 'plain';
      }
    }
  }
  if (state === 'quoted') throw new CsvError(`a field that begins on line ${began} does not end; is a quote missing?`);
  if (field !== '' || fields.length > 0) {
    field = field.replace(/\r$/, '');
    take();
    yield { line: began, fields };
  }
}
