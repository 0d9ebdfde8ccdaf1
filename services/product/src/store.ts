// The catalogue in the database. Rows of several products are always locked and inserted in sku order, so that two writers can't deadlock.
import { allOf, likeText, rowset, sql, type Queryable, type Tx } from '@millrace/chassis/database/db';
import type { Product, ProductState } from './product.ts';

/** A row as both pg and Prisma give it. */
export type ProductRow = Omit<Product, 'price' | 'state' | 'attributes'> & { currencyCode: string; minorUnits: bigint; attributes: unknown; state: string };

const COLUMNS = sql`sku, name, description, currency_code AS "currencyCode", minor_units AS "minorUnits", attributes, image_url AS "imageUrl",
  state, revision, create_time AS "createTime", update_time AS "updateTime"`;

// Primary key, one probe for each sku. On the path of every order: no Prisma here.
export async function loadProducts(db: Queryable, skus: string[]): Promise<Map<string, Product>> {
  const rows = await db.query<ProductRow>(sql`
    SELECT ${COLUMNS} FROM product WHERE sku = ANY(${skus})`);
  return new Map(rows.map((row) => [row.sku, toProduct(row)]));
}

/** Which of those that fit: after a sku, and how many. */
export type Wanted = { includeArchived: boolean; after: string | undefined; most: number };

/** Sorted by sku, those that have all the words somewhere; planned by the words, or it would read by product_pkey what product_search finds at once. */
export async function searchProducts(db: Queryable, words: string[], { includeArchived, after, most }: Wanted): Promise<ProductRow[]> {
  const patterns = words.map((word) => `%${likeText(word)}%`);
  const where = allOf([
    ...patterns.map((pattern) => sql`(sku ILIKE ${pattern} OR name ILIKE ${pattern} OR description ILIKE ${pattern})`),
    !includeArchived && sql`state = 'ACTIVE'`,
    after !== undefined && sql`sku > ${after}`,
  ]);
  return db.query(sql`SELECT ${COLUMNS} FROM product WHERE ${where} ORDER BY sku LIMIT ${most}`);
}

// Primary key; locks in sku order, as every writer here does.
export async function lock(tx: Tx, skus: string[]): Promise<Map<string, Product>> {
  const rows = await tx.query<ProductRow>(sql`
    SELECT ${COLUMNS} FROM product WHERE sku = ANY(${skus}) ORDER BY sku FOR UPDATE`);
  return new Map(rows.map((row) => [row.sku, toProduct(row)]));
}

export async function clock(tx: Tx): Promise<Date> {
  const [row] = await tx.query<{ now: Date }>(sql`SELECT date_trunc('milliseconds', now()) AS now`);
  if (row === undefined) throw new Error('the database has no clock');
  return row.now;
}

const PRODUCTS = rowset<Product>('n', {
  sku: ['text', ({ sku }) => sku],
  name: ['text', ({ name }) => name],
  description: ['text', ({ description }) => description],
  currency_code: ['text', ({ price }) => price.currencyCode],
  minor_units: ['bigint', ({ price }) => price.minorUnits],
  attributes: ['jsonb', ({ attributes }) => attributes],
  image_url: ['text', ({ imageUrl }) => imageUrl],
  state: ['text', ({ state }) => state],
  revision: ['int', ({ revision }) => revision],
  create_time: ['timestamptz', ({ createTime }) => createTime],
  update_time: ['timestamptz', ({ updateTime }) => updateTime],
});

// Primary key; inserts in sku order: two imports of the same new products wait for each other, never in a ring.
/** Answers the skus that were free; the others are left as they are. */
export async function insert(tx: Tx, products: Product[]): Promise<Set<string>> {
  const rows = await tx.query<{ sku: string }>(sql`
    INSERT INTO product (sku, name, description, currency_code, minor_units, attributes, image_url, state, revision, create_time, update_time)
    SELECT * FROM ${PRODUCTS(products)} ORDER BY sku
    ON CONFLICT (sku) DO NOTHING RETURNING sku`);
  return new Set(rows.map((row) => row.sku));
}

// Primary key; the rows are locked already.
export async function update(tx: Tx, products: Product[]): Promise<void> {
  await tx.query(sql`
    UPDATE product SET (name, description, currency_code, minor_units, attributes, image_url, state, revision, update_time)
      = (n.name, n.description, n.currency_code, n.minor_units, n.attributes, n.image_url, n.state, n.revision, n.update_time)
    FROM ${PRODUCTS(products)} WHERE product.sku = n.sku`);
}

export function toProduct({ currencyCode, minorUnits, attributes, state, ...row }: ProductRow): Product {
  return { ...row, attributes: attributes as Record<string, string>, state: state as ProductState, price: { currencyCode, minorUnits } };
}
