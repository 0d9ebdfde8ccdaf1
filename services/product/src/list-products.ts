import { refuse } from '@millrace/chassis/api/errors';
import { decodePageToken, encodePageToken, pageLimit } from '@millrace/chassis/api/pages';
import { plannedByValue, type Database } from '@millrace/chassis/database/db';
import { inTurn } from '@millrace/chassis/flow/in-turn';
import { sharedLooks } from '@millrace/chassis/flow/shared-look';
import type { PrismaClient } from '@millrace/gen/prisma/product/client.ts';
import type { Product } from './product.ts';
import { type Wanted, type ProductRow, searchProducts, toProduct } from './store.ts';

/** Words that count; the rest of a query is noise, and each one costs an index scan. */
const MAX_WORDS = 10;

export type ProductFilter = { query: string; includeArchived: boolean; pageSize: number; pageToken: string };
export type ProductPage = { products: Product[]; nextPageToken: string };

/** Everybody looks at the same first pages: who asks for the same at the same time shares an answer. */
export function createListProducts(db: Database, prisma: PrismaClient): (filter: ProductFilter) => Promise<ProductPage> {
  const keyOf = ({ query, includeArchived, pageSize, pageToken }: ProductFilter) => JSON.stringify([query, includeArchived, pageSize, pageToken]);
  const turn = inTurn('list products');
  return sharedLooks(keyOf, (filter) => turn(() => listProducts(db, prisma, filter)));
}

/** Sorted by sku; pages stay stable while products come and go. Index: product_pkey, or product_search when there are words. */
async function listProducts(db: Database, prisma: PrismaClient, filter: ProductFilter): Promise<ProductPage> {
  const limit = pageLimit(filter.pageSize);
  const scope = JSON.stringify(['ListProducts', filter.query, filter.includeArchived]);
  const after = decodePageToken<unknown>(scope, filter.pageToken);
  // The mark of a token can be forged; its content must not get further than this.
  if (after !== undefined && typeof after !== 'string') throw refuse('INVALID_PAGE_TOKEN', 'the page token is not one of this list');
  const words = wordsOf(filter.query);
  const wanted = { includeArchived: filter.includeArchived, after, most: limit + 1 };
  const rows = words.length === 0 ? await browse(prisma, wanted) : await plannedByValue(db, (tx) => searchProducts(tx, words, wanted));
  const products = rows.slice(0, limit).map(toProduct);
  return { products, nextPageToken: rows.length > limit ? encodePageToken(scope, products.at(-1)?.sku) : '' };
}

function browse(prisma: PrismaClient, { includeArchived, after, most }: Wanted): Promise<ProductRow[]> {
  return prisma.product.findMany({
    where: { ...(includeArchived ? {} : { state: 'ACTIVE' }), ...(after === undefined ? {} : { sku: { gt: after } }) },
    orderBy: { sku: 'asc' },
    take: most,
  });
}

function wordsOf(query: string): string[] {
  return query.split(/\s+/).filter((word) => word !== '').slice(0, MAX_WORDS);
}
