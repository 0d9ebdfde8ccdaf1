// InventoryService on the wire: translates, and runs each change once per request id.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerOf } from '@millrace/chassis/api/auth';
import { errorInfo, refuse } from '@millrace/chassis/api/errors';
import type { Database } from '@millrace/chassis/database/db';
import { createOnce } from '@millrace/chassis/database/requests';
import { inTurn } from '@millrace/chassis/flow/in-turn';
import { type Reader, readAll } from '@millrace/chassis/flow/reader';
import type { Log } from '@millrace/chassis/telemetry/log';
import {
  InventoryService, MovementKind, ReleaseReason, ReservationState,
  type MovementSchema, type ReservationSchema, type ReserveStockRequest, type ReserveStockResultSchema, type StockLevelSchema,
} from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import type { Movement as MovementRow, PrismaClient } from '@millrace/gen/prisma/inventory/client.ts';
import { adjustStock, setStockPolicy } from './adjust-stock.ts';
import type { Change } from './change.ts';
import { findReservation, listMovements, listStock } from './lists.ts';
import { releaseStock } from './release-stock.ts';
import { ReservationNotFoundError, type Reservation, type Wish } from './reservation.ts';
import type { ReserveStock } from './reserve-stock.ts';
import { available, StockNotFoundError, type MovementKind as Kind, type Stock } from './stock.ts';
import type { WatchStock } from './watch-stock.ts';

const END_OF_TIME = Date.UTC(9999, 11, 31);

export type Inventory = { db: Database; log: Log; prisma: PrismaClient; change: Change; readLevel: Reader<Stock>; reserveStock: ReserveStock; watchStock: WatchStock };

export function inventoryCalls({ db, log, prisma, change, readLevel, reserveStock, watchStock }: Inventory): ServiceImpl<typeof InventoryService> {
  const { method } = InventoryService;
  const once = createOnce(db);
  const turn = inTurn('lists');

  return {
    async getStock({ sku }) {
      const stock = await readLevel(sku);
      if (stock === undefined) throw new StockNotFoundError(sku);
      return { stockLevel: levelMessage(stock) };
    },
    async batchGetStock({ skus }) {
      return { stockLevels: (await readAll(readLevel, skus)).map(levelMessage) };
    },
    async listStock(request) {
      const { stocks, nextPageToken } = await turn(() => listStock(prisma, request));
      return { stockLevels: stocks.map(levelMessage), nextPageToken };
    },
    adjustStock: (request, context) =>
      once(method.adjustStock, request, context, async (tx) => {
        const cause = { reason: request.reason, actor: callerOf(context).subject };
        return { stockLevel: levelMessage(await adjustStock(tx, change, request.sku, request.delta, cause)) };
      }),
    setStockPolicy: (request, context) =>
      once(method.setStockPolicy, request, context, async (tx) => ({ stockLevel: levelMessage(await setStockPolicy(tx, change, request.sku, request.lowStockThreshold)) })),
    async reserveStock(request, context) {
      return { reservation: reservationMessage(await reserveStock(wish(request, context), context.signal)) };
    },
    async reserveStockMany({ requests }, context) {
      const reserve = async (request: ReserveStockRequest) => reserveStock(wish(request, context), context.signal);
      return { results: await Promise.all(requests.map((request) => reserve(request).then(held, (error: unknown) => refused(error, log)))) };
    },
    releaseStock: (request, context) =>
      once(method.releaseStock, request, context, async (tx) => {
        const cause = { reason: '', actor: callerOf(context).subject };
        return { reservation: reservationMessage(await releaseStock(tx, change, request.orderId, cause)) };
      }),
    async getReservation({ orderId }) {
      const reservation = await findReservation(prisma, orderId);
      if (reservation === undefined) throw new ReservationNotFoundError(orderId);
      return { reservation: reservationMessage(reservation) };
    },
    async listMovements(request) {
      const { movements, nextPageToken } = await turn(() => listMovements(prisma, request));
      return { movements: movements.map(movementMessage), nextPageToken };
    },
    async *watchStock({ skus }, context) {
      for await (const stock of watchStock([...new Set(skus)], context.signal)) yield stock === undefined ? {} : { stockLevel: levelMessage(stock) };
    },
  };
}

function wish({ orderId, lines, holdUntil }: ReserveStockRequest, context: HandlerContext): Wish {
  const until = holdUntil && timestampDate(holdUntil);
  // A Timestamp can hold what neither JavaScript nor Postgres can.
  if (until !== undefined && !(until.getTime() >= 0 && until.getTime() < END_OF_TIME)) throw refuse('INVALID_FIELD', 'hold_until must be between the years 1970 and 9999');
  return { orderId, lines, holdUntil: until, actor: callerOf(context).subject };
}

function held(reservation: Reservation): MessageInitShape<typeof ReserveStockResultSchema> {
  return { result: { case: 'reservation', value: reservationMessage(reservation) } };
}

/** What fails for one must not hide what became of the others; an unknown failure reads as "try again". */
function refused(error: unknown, log: Log): MessageInitShape<typeof ReserveStockResultSchema> {
  const known = errorInfo(error);
  if (known === undefined) log.error({ err: error }, 'a reservation failed');
  const { reason, metadata } = known ?? { reason: 'DEPENDENCY_UNAVAILABLE', metadata: {} };
  const message = known !== undefined && error instanceof Error ? error.message : 'the reservation could not be stored';
  return { result: { case: 'refusal', value: { reason, metadata, message } } };
}

function levelMessage(stock: Stock): MessageInitShape<typeof StockLevelSchema> {
  const { sku, onHand, reserved, threshold, low, discontinued, version, updateTime } = stock;
  return { sku, onHand, reserved, available: available(stock), lowStockThreshold: threshold, low, discontinued, version, updateTime: timestampFromDate(updateTime) };
}

function reservationMessage({ orderId, state, lines, holdUntil, releaseReason, version, createTime, updateTime }: Reservation): MessageInitShape<typeof ReservationSchema> {
  return {
    orderId, lines, version,
    state: ReservationState[state],
    releaseReason: releaseReason === '' ? ReleaseReason.UNSPECIFIED : ReleaseReason[releaseReason],
    holdUntil: timestampFromDate(holdUntil),
    createTime: timestampFromDate(createTime),
    updateTime: timestampFromDate(updateTime),
  };
}

function movementMessage({ movementId, kind, createTime, ...same }: MovementRow): MessageInitShape<typeof MovementSchema> {
  return { ...same, movementId: String(movementId), kind: MovementKind[kind as Kind], createTime: timestampFromDate(createTime) };
}
