// Fills a database with copies of what it holds: every row as often as asked, under ids of its own, set by set. Copies of true orders are
// consistent, with each other and with their copies in the other services, however tables and events change; rows made up here would have
// to be kept up with five services.
import pg from 'pg';

/** Everything that names something: order, payment, refund, message, provider's record, and the template's own skus, customers and request ids. */
const IDS = '((?:ord|pay|ref)_[a-z2-7]{26,28}|ntf_[0-9a-z]{32}|(?:pi|evt|re|ch)_[0-9A-Za-z]{10,}|fill-[0-9a-z]+)';
/** Stands behind each of them in the template; a character that no text of ours has. */
const MARK = 'chr(57344)';
/** Tables that are about the others. */
const STATE = ['outbox_mark', 'outbox_again'];
/** Copies of the template in one statement. */
const STEP = 50;
/** Copies are spread over so long, well within the time that outboxes keep their rows. */
const SPAN_DAYS = 5;

type Column = { table: string; name: string; type: string; isSerial: boolean };
/** Makes copies number `from` to `to - 1` of all that the database held when it was prepared. */
export type Copy = (from: number, to: number) => Promise<void>;

/** `most`: how many copies there will be in all. The role must own the database. */
export async function createCopy(url: string, most: number): Promise<Copy> {
  const inserts = await connected(url, async (client) => {
    await client.query('CREATE SCHEMA fill');
    const statements: string[] = [];
    for (const [table, columns] of await tablesOf(client)) {
      const marked = columns.map(({ name, type }) => (isText(type) ? `regexp_replace("${name}"::text, '${IDS}', '\\1' || ${MARK}, 'g')::${type} AS "${name}"` : `"${name}"`));
      await client.query(`CREATE TABLE fill."${table}" AS SELECT ${marked.join(', ')} FROM public."${table}"`);
      const named: Column[] = [];
      for (const column of columns) if (await hasMark(client, column)) named.push(column);
      statements.push(insertOf(table, columns, named));
    }
    return statements;
  });
  return (from, to) =>
    connected(url, async (client) => {
      await client.query('SET synchronous_commit = off');
      for (let next = from; next < to; next += STEP) for (const insert of inserts) await client.query(insert, [next, Math.min(next + STEP, to) - 1, most]);
      await client.query('VACUUM (ANALYZE)');
    });
}

/** $1, $2: first and last copy; $3: how many there will be. Rows keep their order, so that what was said and moved is told in its order. */
function insertOf(table: string, columns: Column[], named: Column[]): string {
  const copied = columns.filter(({ isSerial }) => !isSerial);
  const serial = columns.find(({ isSerial }) => isSerial);
  const values = copied.map((column) => {
    const { name, type } = column;
    const value = `t."${name}"`;
    if (name === 'event_id' && (type === 'uuid' || table === 'timeline')) return `md5(${value}::text || k)::uuid::${type}`;
    if (named.includes(column)) return `replace(${value}::text, ${MARK}, 'x' || k)::${type}`;
    return type.startsWith('timestamp') ? `${value} - ($3::int - k) * (interval '${SPAN_DAYS} days' / $3::int)` : value;
  });
  const insert = `INSERT INTO public."${table}" (${copied.map(({ name }) => `"${name}"`).join(', ')}) SELECT ${values.join(', ')}
    FROM generate_series($1::int, $2::int) k, fill."${table}" t ${serial ? `ORDER BY k, t."${serial.name}"` : ''}`;
  // What was said once is not to be said again.
  return table === 'outbox' ? `WITH said AS (${insert} RETURNING position) UPDATE outbox_mark SET position = greatest(position, (SELECT max(position) FROM said))` : insert;
}

async function tablesOf(client: pg.Client): Promise<Map<string, Column[]>> {
  const { rows } = await client.query<{ table: string; name: string; type: string; serial: boolean }>(`
    SELECT c.relname AS table, a.attname AS name, format_type(a.atttypid, NULL) AS type, coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false) AS serial
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE '\\_%' AND c.relname <> ALL('{${STATE.join()}}') ORDER BY c.relname, a.attnum`);
  const tables = new Map<string, Column[]>();
  for (const { table, name, type, serial } of rows) tables.set(table, [...(tables.get(table) ?? []), { table, name, type, isSerial: serial }]);
  return tables;
}

async function hasMark(client: pg.Client, { table, name, type }: Column): Promise<boolean> {
  if (!isText(type)) return false;
  return (await client.query(`SELECT FROM fill."${table}" WHERE strpos("${name}"::text, ${MARK}) > 0 LIMIT 1`)).rowCount === 1;
}

const isText = (type: string): boolean => type === 'text' || type === 'jsonb';

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
