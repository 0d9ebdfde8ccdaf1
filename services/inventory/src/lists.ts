// Ordinary reads: lists with filters and stable pages.
import { refuse } from '@millrace/chassis/api/errors';
import { decodePageToken, encodePageToken, pageLimit } from '@millrace/chassis/api/pages';
import type { PrismaClient, Movement as MovementRow } from '@millrace/gen/prisma/inventory/client.ts';
import type { Reservation } from './reservation.ts';
import type { Stock } from './stock.ts';
import { toReservation } from './store.ts';

type Page = { pageSize: number; pageToken: string };

/** Sorted by sku. Index: stock_pkey, or stock_low. */
export async function listStock(prisma: PrismaClient, { lowOnly, pageSize, pageToken }: Page & { lowOnly: boolean }): Promise<{ stocks: Stock[]; nextPageToken: string }> {
  const limit = pageLimit(pageSize);
  const scope = JSON.stringify(['ListStock', lowOnly]);
  const after = decodePageToken<unknown>(scope, pageToken);
  if (after !== undefined && typeof after !== 'string') throw foreignToken();
  const rows = await prisma.stock.findMany({
    where: { opened: true, ...(lowOnly ? { low: true } : {}), ...(after === undefined ? {} : { sku: { gt: after } }) },
    orderBy: { sku: 'asc' },
    take: limit + 1,
  });
  const stocks = rows.slice(0, limit);
  return { stocks, nextPageToken: rows.length > limit ? encodePageToken(scope, stocks.at(-1)?.sku) : '' };
}

/** Newest first. Indexes: movement_pkey, movement_sku_movement_id_idx, movement_order_id_movement_id_idx. */
export async function listMovements(
  prisma: PrismaClient, { sku, orderId, pageSize, pageToken }: Page & { sku: string; orderId: string },
): Promise<{ movements: MovementRow[]; nextPageToken: string }> {
  const limit = pageLimit(pageSize);
  const scope = JSON.stringify(['ListMovements', sku, orderId]);
  const before = decodePageToken<unknown>(scope, pageToken);
  if (before !== undefined && typeof before !== 'bigint') throw foreignToken();
  const rows = await prisma.movement.findMany({
    where: { ...(sku === '' ? {} : { sku }), ...(orderId === '' ? {} : { orderId }), ...(before === undefined ? {} : { movementId: { lt: before } }) },
    orderBy: { movementId: 'desc' },
    take: limit + 1,
  });
  const movements = rows.slice(0, limit);
  return { movements, nextPageToken: rows.length > limit ? encodePageToken(scope, movements.at(-1)?.movementId) : '' };
}

export async function findReservation(prisma: PrismaClient, orderId: string): Promise<Reservation | undefined> {
  const row = await prisma.reservation.findUnique({ where: { orderId } });
  return row === null ? undefined : toReservation(row);
}

/** The mark of a token can be forged; its content must not get further than this. */
function foreignToken(): Error {
  return refuse('INVALID_PAGE_TOKEN', 'the page token is not one of this list');
}
