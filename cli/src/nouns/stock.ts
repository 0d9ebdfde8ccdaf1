// millrace stock …
import { create } from '@bufbuild/protobuf';
import { BatchGetStockResponseSchema, InventoryService, ListMovementsResponseSchema, ListStockResponseSchema, MovementKindSchema, type StockLevel } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { type Call, type Noun, TEXT, UsageError, YES, expectArgs, wholeNumber } from '../command.ts';
import type { Output } from '../output.ts';
import { PAGE_OPTIONS, PAGE_USAGE, gather } from '../pages.ts';
import { showEnum, showTime } from '../values.ts';

export const stock: Noun = {
  about: 'what is on hand, and every movement of it',
  verbs: {
    list: { usage: `[--low] ${PAGE_USAGE}`, about: 'lists levels by sku', options: { low: YES, ...PAGE_OPTIONS }, run: list },
    get: { usage: 'SKU...', about: 'shows levels', run: get },
    adjust: { usage: 'SKU DELTA --reason TEXT', about: 'books a delivery (+10), a loss or a correction (-2)', options: { reason: TEXT }, run: adjust },
    movements: { usage: `[--sku SKU] [--order ORDER_ID] ${PAGE_USAGE}`, about: 'shows the ledger, newest first', options: { sku: TEXT, order: TEXT, ...PAGE_OPTIONS }, run: movements },
    policy: { usage: 'SKU --low-stock N', about: 'sets when stock counts as low; 0 means never', options: { 'low-stock': TEXT }, run: policy },
  },
};

async function list(call: Call): Promise<void> {
  expectArgs(call);
  const lowOnly = call.flags.on('low');
  const { rows: stockLevels, nextPageToken } = await gather(call, (page) => call.client(InventoryService).listStock({ lowOnly, ...page }), (page) => page.stockLevels);
  call.out.answer(ListStockResponseSchema, create(ListStockResponseSchema, { stockLevels, nextPageToken }), () => showLevels(call.out, stockLevels));
}

async function get(call: Call): Promise<number> {
  if (call.args.length === 0) throw new UsageError('SKU is missing');
  const answer = await call.client(InventoryService).batchGetStock({ skus: call.args });
  call.out.answer(BatchGetStockResponseSchema, answer, () => showLevels(call.out, answer.stockLevels.toSorted((a, b) => (a.sku < b.sku ? -1 : 1))));
  const missing = call.args.filter((sku) => !answer.stockLevels.some((level) => level.sku === sku));
  if (missing.length > 0) call.out.note(`There is no stock of ${missing.join(', ')}.`);
  return missing.length > 0 ? 1 : 0;
}

async function adjust(call: Call): Promise<void> {
  const [sku, delta = ''] = expectArgs(call, 'SKU', 'DELTA');
  const answer = await call.client(InventoryService).adjustStock({ sku, delta: wholeNumber(delta, 'DELTA'), reason: call.flags.text('reason'), requestId: call.requestId });
  showLevel(call.out, answer.stockLevel);
}

async function movements(call: Call): Promise<void> {
  expectArgs(call);
  const filter = { sku: call.flags.text('sku'), orderId: call.flags.text('order') };
  const { rows, nextPageToken } = await gather(call, (page) => call.client(InventoryService).listMovements({ ...filter, ...page }), (page) => page.movements);
  call.out.answer(ListMovementsResponseSchema, create(ListMovementsResponseSchema, { movements: rows, nextPageToken }), () =>
    call.out.table(
      ['TIME', 'SKU', 'KIND', 'ON HAND', 'RESERVED', 'ORDER', 'REASON', 'BY'],
      rows.map((move) => [showTime(move.createTime), move.sku, showEnum(MovementKindSchema, move.kind), signed(move.onHandDelta), signed(move.reservedDelta), move.orderId, move.reason, move.actor]),
    ),
  );
}

async function policy(call: Call): Promise<void> {
  const [sku] = expectArgs(call, 'SKU');
  const lowStockThreshold = call.flags.whole('low-stock');
  if (lowStockThreshold === undefined) throw new UsageError('--low-stock is missing');
  showLevel(call.out, (await call.client(InventoryService).setStockPolicy({ sku, lowStockThreshold, requestId: call.requestId })).stockLevel);
}

function showLevel(out: Output, level: StockLevel | undefined): void {
  const stockLevels = level ? [level] : [];
  out.answer(BatchGetStockResponseSchema, create(BatchGetStockResponseSchema, { stockLevels }), () => showLevels(out, stockLevels));
}

function showLevels(out: Output, levels: StockLevel[]): void {
  out.table(
    ['SKU', 'ON HAND', 'RESERVED', 'AVAILABLE', 'LOW AT', ''],
    levels.map((level) => [level.sku, level.onHand, level.reserved, level.available, level.lowStockThreshold, [level.low && 'low', level.discontinued && 'archived'].filter(Boolean).join(', ')]),
  );
}

function signed(delta: number): string {
  return delta > 0 ? `+${delta}` : String(delta);
}
