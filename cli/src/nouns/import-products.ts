// millrace product import FILE.csv: one stream of products, one answer that counts them.
import { open } from 'node:fs/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ImportProductsRequestSchema, ImportProductsResponseSchema, ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { type Call, UsageError, expectArgs, wholeNumber } from '../command.ts';
import { CsvError, type Row, readCsv } from '../csv.ts';
import { EXIT } from '../problems.ts';
import { readMoney } from '../values.ts';

type ImportRow = MessageInitShape<typeof ImportProductsRequestSchema>;

const COLUMNS = ['sku', 'name', 'price', 'currency', 'description', 'image_url', 'initial_stock', 'low_stock_threshold'];
const NEEDED = ['sku', 'name', 'price'];
/** Further columns are the product's attributes: "attribute.colour". */
const ATTRIBUTE = 'attribute.';
/** Some ten thousand rows a minute in a slow house. */
const IMPORT_MS = 600_000;

export async function importProducts(call: Call): Promise<number> {
  const [file = '-'] = expectArgs(call, 'FILE.csv');
  const input = file === '-' ? call.stdin : await openFile(file);
  input.setEncoding('utf8');
  const lines: number[] = [];
  let mistake: unknown;
  async function* rows(): AsyncGenerator<ImportRow> {
    try {
      for await (const row of readCsv(input as AsyncIterable<string>)) {
        lines.push(row.line);
        yield toRow(row);
      }
    } catch (error) {
      mistake = error;
      throw error;
    }
  }
  try {
    const answer = await call.client(ProductService).importProducts(rows(), { signal: call.signal, timeoutMs: IMPORT_MS });
    call.out.answer(ImportProductsResponseSchema, answer, () => {
      call.out.line(`${answer.created} created, ${answer.updated} updated, ${answer.unchanged} unchanged, ${answer.failed} refused`);
      if (answer.failed > 0) call.out.table(['LINE', 'SKU', 'WHY'], answer.failures.map(({ position, sku, message }) => [lines[position - 1] ?? position, sku, message]));
    });
    return answer.failed > 0 ? EXIT.refused : EXIT.ok;
  } catch (error) {
    // A mistake in the file ends the stream; it, and not the stream's end, is the news.
    throw mistake === undefined ? error : inFile(file, mistake);
  }
}

export function toRow({ line, values }: Row): ImportRow {
  const missing = NEEDED.find((name) => !values[name]);
  if (missing) throw new CsvError(`line ${line} has no ${missing}`);
  const foreign = Object.keys(values).find((name) => !COLUMNS.includes(name) && !name.startsWith(ATTRIBUTE));
  if (foreign !== undefined) throw new CsvError(`the column "${foreign}" is not known; the columns are ${COLUMNS.join(', ')} and ${ATTRIBUTE}NAME`);
  const attributes = Object.entries(values).filter(([name, value]) => name.startsWith(ATTRIBUTE) && value !== '').map(([name, value]) => [name.slice(ATTRIBUTE.length), value]);
  return {
    product: {
      sku: values['sku'],
      name: values['name'],
      price: readMoney(`${values['price']} ${values['currency'] ?? ''}`, `line ${line}: price`),
      description: values['description'],
      imageUrl: values['image_url'],
      attributes: Object.fromEntries(attributes) as Record<string, string>,
    },
    initialStock: numberIn(values['initial_stock'], `line ${line}: initial_stock`),
    lowStockThreshold: numberIn(values['low_stock_threshold'], `line ${line}: low_stock_threshold`),
  };
}

function numberIn(text: string | undefined, what: string): number | undefined {
  return text ? wholeNumber(text, what) : undefined;
}

async function openFile(file: string): Promise<NodeJS.ReadableStream> {
  try {
    return (await open(file)).createReadStream();
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? new UsageError(`there is no file ${file}`) : inFile(file, error);
  }
}

function inFile(file: string, error: unknown): Error {
  return new UsageError(error instanceof CsvError || error instanceof UsageError ? `${file}: ${error.message}` : `${file} can't be read: ${(error as Error).message}`);
}
