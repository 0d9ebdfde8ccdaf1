// What inventory says.
import { event, type OutgoingEvent } from '@millrace/chassis/events/outbox';
import { BackInStockSchema, StockChangedSchema, StockCommittedSchema, StockLowSchema, StockReleasedSchema, StockShortfallSchema } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { ReleaseReason } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import type { Closing } from './books.ts';
import type { Notice } from './reservation.ts';
import { available } from './stock.ts';

export function eventsOf({ stocks, notices }: Closing): OutgoingEvent[] {
  return [...stocks.flatMap(stockEvents), ...notices.map(noticeEvent)];
}

function stockEvents({ stock, changed, alert }: Closing['stocks'][number]): OutgoingEvent[] {
  if (!changed) return [];
  const { sku, name, version, onHand, reserved, threshold } = stock;
  const levels = [event(StockChangedSchema, { sku, version, onHand, reserved, available: available(stock) })];
  if (alert === undefined) return levels;
  return [...levels, event(alert === 'LOW' ? StockLowSchema : BackInStockSchema, { sku, version, available: available(stock), lowStockThreshold: threshold, name })];
}

function noticeEvent({ kind, reservation: { orderId, version, releaseReason }, lines, restocked }: Notice): OutgoingEvent {
  switch (kind) {
    case 'COMMITTED':
      return event(StockCommittedSchema, { orderId, version, lines });
    case 'RELEASED':
      return event(StockReleasedSchema, { orderId, version, lines, restocked, reason: releaseReason === '' ? ReleaseReason.UNSPECIFIED : ReleaseReason[releaseReason] });
    case 'SHORTFALL':
      return event(StockShortfallSchema, { orderId, version, lines });
    default:
      return kind satisfies never;
  }
}
