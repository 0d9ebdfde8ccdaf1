// Inventory's levels, reservations and ledger around its pure decisions, and product's catalogue.
import { Books } from '../../services/inventory/src/books.ts';
import type { Reservation, Wish } from '../../services/inventory/src/reservation.ts';
import { adjustment, available, type Movement, type Stock } from '../../services/inventory/src/stock.ts';
import type { Product } from '../../services/product/src/product.ts';
import { earliest, isRefusal, NEVER, type SimEvent, type Stage } from './stage.ts';

export const SKUS = ['MUG', 'CUP'] as const;
const CAUSE = { reason: '', actor: 'simulation' };

export type Inventory = ReturnType<typeof createInventory>;

export function createInventory(stage: Stage) {
  const { inventory: rules } = stage.rules;
  let stocks: Stock[] = [];
  const reservations = new Map<string, Reservation>();
  const movements: Movement[] = [];

  /** One transaction: all of it happens, or nothing. */
  function change(work: (books: Books) => void): void {
    const books = new Books(stage.date, stocks, reservations.values());
    work(books);
    const closing = books.close();
    stocks = stocks.map(({ sku }) => closing.stocks.find(({ stock }) => stock.sku === sku)?.stock ?? (books.levelOf(sku) as Stock));
    for (const reservation of [...closing.added, ...closing.changed]) reservations.set(reservation.orderId, reservation);
    movements.push(...closing.movements);
    for (const { kind, reservation } of closing.notices) stage.say('inventory', { type: kind.toLowerCase() as 'committed', orderId: reservation.orderId });
  }

  function makeRecord(sku: string): void {
    if (stocks.some((stock) => stock.sku === sku)) return;
    stocks = [...stocks, { sku, name: '', onHand: 0, reserved: 0, threshold: 0, low: false, discontinued: false, opened: false, productVersion: 0, version: 0, updateTime: stage.date }];
  }

  function hear(event: SimEvent): void {
    switch (event.type) {
      case 'product_created':
        makeRecord(event.sku);
        return change((books) => rules.productCreated(books, { sku: event.sku, version: event.version, name: event.name, initialStock: event.initialStock, lowStockThreshold: 1 }, CAUSE));
      case 'product_updated':
        makeRecord(event.sku);
        return change((books) => rules.productUpdated(books, event));
      case 'product_archived':
        makeRecord(event.sku);
        return change((books) => rules.productArchived(books, event));
      case 'payment':
        return event.told.kind === 'succeeded' ? change((books) => rules.orderPaid(books, event.orderId, CAUSE)) : undefined;
      case 'cancelled':
        return change((books) => rules.orderCancelled(books, event.orderId, CAUSE));
      case 'refund_requested':
        return change((books) => rules.refundRequested(books, { orderId: event.orderId, refundId: event.refundId, restockLines: event.restock }, CAUSE));
      default:
    }
  }

  const nextDue = (): number => earliest(reservations.values(), ({ state, holdUntil }) => (state === 'HELD' ? holdUntil.getTime() + 1 : NEVER));

  return {
    hear,
    stocks: () => stocks,
    reservation: (orderId: string) => reservations.get(orderId),
    reservations: () => [...reservations.values()],
    movements: () => movements,
    /** Throws the refusal. */
    hold: (wish: Wish) => change((books) => books.take(rules.hold(books.reservation(wish.orderId), wish, books.levelOf, books.now))),
    /** Somebody gives a hold back by hand, sold or not. */
    release(orderId: string): void {
      const current = reservations.get(orderId);
      if (current === undefined) return;
      try {
        change((books) => books.take(rules.release(current, books.now, CAUSE)));
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    },
    expireHolds(): boolean {
      if (nextDue() > stage.now) return false;
      change((books) => [...reservations.values()].forEach((held) => books.take(rules.expire(held, books.now, CAUSE))));
      return true;
    },
    /** By hand: all that is free goes, or one unit, or two come. */
    adjust(sku: string, how: number): void {
      const stock = stocks.find((one) => one.sku === sku);
      if (stock === undefined || !stock.opened) return;
      const delta = how === 0 ? -available(stock) : how === 1 ? -1 : 2;
      try {
        change((books) => books.book(adjustment(stock, delta, CAUSE)));
        stage.note(() => `${delta} ${sku} by hand`);
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    },
    nextDue,
  };
}

export type Catalogue = ReturnType<typeof createCatalogue>;

export function createCatalogue(stage: Stage) {
  const { product: rules } = stage.rules;
  const products = new Map<string, Product>();
  const prices: Record<string, bigint> = { MUG: 500n, CUP: 333n };
  SKUS.forEach((sku, i) => {
    const product = rules.newProduct(sku, { name: sku, description: '', price: { currencyCode: 'EUR', minorUnits: prices[sku] as bigint }, attributes: {}, imageUrl: '' }, stage.date);
    products.set(sku, product);
    stage.say('product', { type: 'product_created', sku, name: sku, version: product.revision, initialStock: stage.scene.stock[i] as number });
  });
  const touch = (sku: string, make: (product: Product) => Product, type: 'product_updated' | 'product_archived'): void => {
    const before = products.get(sku) as Product;
    try {
      const after = make(before);
      if (after === before) return;
      products.set(sku, after);
      stage.say('product', type === 'product_archived' ? { type, sku } : { type, sku, name: after.name, version: after.revision, initialStock: 0 });
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  };
  return {
    products: (): ReadonlyMap<string, Product> => products,
    rename: (sku: string, name: string) => touch(sku, (product) => rules.changeProduct(product, { name }, 0, stage.date).product, 'product_updated'),
    archive: (sku: string) => touch(sku, (product) => rules.archiveProduct(product, stage.date), 'product_archived'),
  };
}
