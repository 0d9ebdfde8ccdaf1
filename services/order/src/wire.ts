// Orders as the contract writes them.
import { timestampDate, timestampFromDate, type Timestamp } from '@bufbuild/protobuf/wkt';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { refuse } from '@millrace/chassis/api/errors';
import {
  CancelCause, OrderState, PaymentState, type CustomerSchema, type OrderLineSchema, type OrderSchema, type Address as ProtoAddress,
} from '@millrace/gen/millrace/order/v1/order_pb.js';
import type { Money, MoneySchema } from '@millrace/gen/millrace/type/v1/money_pb.js';
import type { Address, Customer, Order, OrderLine } from './order.ts';
import type { Money as Amount } from './pricing.ts';

export function toProto(order: Order): MessageInitShape<typeof OrderSchema> {
  const { currency } = order;
  return {
    orderId: order.orderId,
    customer: customerToProto(order.customer),
    lines: linesToProto(order),
    total: money(order.total, currency),
    state: OrderState[order.state],
    paymentState: PaymentState[order.paymentState],
    cancelReason: order.cancelReason,
    cancelCause: CancelCause[order.cancelCause || 'UNSPECIFIED'],
    shippingAddress: order.shippingAddress,
    paymentDueTime: timestampFromDate(order.paymentDueTime),
    version: order.version,
    createTime: timestampFromDate(order.createTime),
    updateTime: timestampFromDate(order.updateTime),
    carrier: order.carrier,
    trackingNumber: order.trackingNumber,
    note: order.note,
    refunded: money(order.payment.refunded, currency),
  };
}

export function linesToProto({ lines, currency }: { lines: OrderLine[]; currency: string }): MessageInitShape<typeof OrderLineSchema>[] {
  return lines.map((line) => ({
    sku: line.sku,
    name: line.name,
    quantity: line.quantity,
    unitPrice: money(line.unitPrice, currency),
    lineTotal: money(line.unitPrice * BigInt(line.quantity), currency),
  }));
}

export function customerToProto({ customerId, name, email, phone }: Customer): MessageInitShape<typeof CustomerSchema> {
  return { customerId, name, email, phone };
}

export function money(minorUnits: bigint, currencyCode: string): MessageInitShape<typeof MoneySchema> {
  return { currencyCode, minorUnits };
}

export function amountOf(value: Money): Amount;
export function amountOf(value: Money | undefined): Amount | undefined;
export function amountOf(value: Money | undefined): Amount | undefined {
  return value && { currency: value.currencyCode, amount: value.minorUnits };
}

export function addressOf(address: ProtoAddress | undefined): Address | undefined {
  if (address === undefined) return undefined;
  const { name, line1, line2, city, region, postalCode, countryCode } = address;
  return { name, line1, line2, city, region, postalCode, countryCode };
}

/** The years 1 to 9999, as the Timestamp's own definition has it; binary messages can hold anything. */
export function dateOf(timestamp: Timestamp | undefined, field: string): Date | undefined {
  if (timestamp === undefined) return undefined;
  if (timestamp.seconds < -62_135_596_800n || timestamp.seconds > 253_402_300_799n) throw refuse('INVALID_FIELD', `${field}: not a moment between the years 1 and 9999`);
  return timestampDate(timestamp);
}

const digits = new Map<string, number>();

/** "19.99 EUR", for people. Exact. */
export function inWords(amount: bigint, currency: string): string {
  let places = digits.get(currency);
  if (places === undefined) {
    places = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
    if (digits.size < 1_000) digits.set(currency, places); // more than there are currencies
  }
  const text = `${amount}`.padStart(places + 1, '0');
  return `${places === 0 ? text : `${text.slice(0, -places)}.${text.slice(-places)}`} ${currency}`;
}
