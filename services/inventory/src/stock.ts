// One stock level: what may happen to it, and when it counts as low. Pure; imports nothing.

export type Stock = {
  sku: string;
  name: string;
  onHand: number;
  reserved: number;
  /** Available units at or below which it counts as low; 0 means never. */
  threshold: number;
  /** An alert is open. */
  low: boolean;
  discontinued: boolean;
  /** False until products.created was heard: such a record only remembers what came before it, and nobody sees it. */
  opened: boolean;
  /** The product's revision that the name is of. */
  productVersion: number;
  version: number;
  updateTime: Date;
};

export type MovementKind = 'OPENED' | 'ADJUSTED' | 'HELD' | 'RELEASED' | 'COMMITTED' | 'RESTOCKED';
export type Movement = { sku: string; kind: MovementKind; onHandDelta: number; reservedDelta: number; orderId: string; reason: string; actor: string };
export type Cause = { reason: string; actor: string };
export type Alert = 'LOW' | 'RECOVERED';

/** What one booking may carry by contract is also the most that can be on hand: restocks still fit into an int32 above it. */
const MAX_ON_HAND = 1_000_000_000;

export function available(stock: Stock): number {
  return stock.onHand - stock.reserved;
}

/** The one place where a level moves: what would oversell throws, and so never reaches the database. */
export function move(stock: Stock, { onHandDelta, reservedDelta }: Movement): Stock {
  const moved = { ...stock, onHand: stock.onHand + onHandDelta, reserved: stock.reserved + reservedDelta };
  if (moved.reserved < 0 || available(moved) < 0) throw new Error(`${stock.sku} would be ${moved.reserved} reserved of ${moved.onHand} on hand`);
  return moved;
}

export type Opening = { sku: string; version: number; name: string; initialStock: number; lowStockThreshold: number };

/** Opens the record, once. */
export function open(stock: Stock, product: Opening, cause: Cause): { stock: Stock; movement?: Movement } {
  const named = rename(stock, product.name, product.version);
  if (stock.opened) return { stock: named };
  return {
    stock: { ...named, opened: true, threshold: product.lowStockThreshold },
    movement: { sku: stock.sku, kind: 'OPENED', onHandDelta: product.initialStock, reservedDelta: 0, orderId: '', ...cause },
  };
}

/** The newest revision's name stays, whichever came first. */
export function rename(stock: Stock, name: string, productVersion: number): Stock {
  return productVersion > stock.productVersion ? { ...stock, name, productVersion } : stock;
}

export function adjustment(stock: Stock, delta: number, cause: Cause): Movement {
  const { sku, onHand, reserved } = stock;
  if (onHand + delta < reserved) throw new StockBelowReservedError(stock);
  if (onHand + delta > MAX_ON_HAND) throw new TooMuchStockError(stock);
  return { sku, kind: 'ADJUSTED', onHandDelta: delta, reservedDelta: 0, orderId: '', ...cause };
}

/** Counts one version for whatever changed since `before`, and opens or closes the alert: one open alert per sku. */
export function settle(before: Stock, after: Stock, now: Date): { stock: Stock; changed: boolean; alert?: Alert | undefined } {
  const visible = ['onHand', 'reserved', 'threshold', 'discontinued', 'opened'] as const;
  if (visible.every((key) => before[key] === after[key])) return { stock: after, changed: false };
  const low = isLow(after);
  // A product that was archived or whose threshold was taken away has not recovered: its alert closes silently.
  const recovered = before.low && !low && !after.discontinued && available(after) > after.threshold;
  const alert = low && !before.low ? 'LOW' : recovered ? 'RECOVERED' : undefined;
  return { stock: { ...after, low, version: before.version + 1, updateTime: now }, changed: true, alert };
}

function isLow(stock: Stock): boolean {
  return stock.opened && !stock.discontinued && stock.threshold > 0 && available(stock) <= stock.threshold;
}

export class StockNotFoundError extends Error {
  readonly reason = 'NOT_FOUND';
  constructor(sku: string) {
    super(`there is no stock record of ${sku}`);
  }
}

export class StockBelowReservedError extends Error {
  readonly reason = 'STOCK_BELOW_RESERVED';
  readonly metadata: Record<string, string>;
  constructor({ sku, onHand, reserved }: Stock) {
    super(`${sku} has ${onHand} on hand, of which ${reserved} are reserved`);
    this.metadata = { sku, on_hand: String(onHand), reserved: String(reserved) };
  }
}

export class TooMuchStockError extends Error {
  readonly reason = 'INVALID_FIELD';
  constructor({ sku, onHand }: Stock) {
    super(`${sku} has ${onHand} on hand, and may have ${MAX_ON_HAND} at most`);
  }
}
