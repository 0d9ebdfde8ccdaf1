// Inventory: what order, payment and product tell, and what people and clocks do meanwhile.
import { Books } from '../../services/inventory/src/books.ts';
import * as facts from '../../services/inventory/src/facts.ts';
import { expire, hold, release } from '../../services/inventory/src/reservation.ts';
import { adjustment, available, type Stock } from '../../services/inventory/src/stock.ts';
import { crossing, type Happening } from './crossing.ts';

const START = new Date('2026-01-01T00:00:00Z');
const HOLD_UNTIL = new Date(START.getTime() + 60_000);
const LATER = new Date(START.getTime() + 120_000);
const CAUSE = { reason: '', actor: 'test' };
const ORDER = 'ord_1';
const LINES = [{ sku: 'MUG', quantity: 3 }];

const ENDED_HOLD = 'an order whose hold has ended';
const OTHERS = ['it is cancelled', 'a refund puts a unit back', 'a refund puts everything back', 'its hold ends', 'its hold is given back by hand', 'it is held again', 'two units arrive'];

type State = { stocks: Stock[]; reservations: NonNullable<ReturnType<Books['reservation']>>[] };

/** One transaction. */
const change = (work: (books: Books) => void): Happening<State> => ({ stocks, reservations }) => {
  const books = new Books(LATER, stocks, reservations);
  work(books);
  const closing = books.close();
  return {
    stocks: stocks.map((stock) => closing.stocks.find((one) => one.stock.sku === stock.sku)?.stock ?? (books.levelOf(stock.sku) as Stock)),
    reservations: [books.reservation(ORDER)].flatMap((reservation) => reservation ?? []),
  };
};
const HELD = change((books) => books.take(hold(books.reservation(ORDER), { orderId: ORDER, lines: LINES, holdUntil: HOLD_UNTIL, actor: 'order' }, books.levelOf, START)));
const PAID = change((books) => facts.orderPaid(books, ORDER, CAUSE));
const ENDED = change((books) => {
  const held = books.reservation(ORDER);
  books.take(held && expire(held, LATER, CAUSE));
});
const CANCELLED = change((books) => facts.orderCancelled(books, ORDER, CAUSE));
const refund = (refundId: string, quantity: number) => change((books) => facts.refundRequested(books, { orderId: ORDER, refundId, restockLines: [{ sku: 'MUG', quantity }] }, CAUSE));
const TAKEN = change((books) => {
  const stock = books.levelOf('MUG') as Stock;
  if (available(stock) > 0) books.book(adjustment(stock, -available(stock), CAUSE));
});

const stocked = (onHand: number) => (): State => ({
  stocks: [{ sku: 'MUG', name: 'Mug', onHand, reserved: 0, threshold: 0, low: false, discontinued: false, opened: true, productVersion: 1, version: 1, updateTime: START }],
  reservations: [],
});
const after = (onHand: number, ...happenings: Happening<State>[]) => () => happenings.reduce((state, happen) => happen(state), stocked(onHand)());

export const CROSSING = crossing<State>({
  service: 'inventory',
  starts: {
    'a held order': after(5, HELD),
    'a held order for the last units': after(3, HELD),
    [ENDED_HOLD]: after(5, HELD, ENDED),
    'an order whose hold has ended and whose stock is gone': after(3, HELD, ENDED, TAKEN),
    'a sold order': after(5, HELD, PAID),
    'a sold order of which a part came back': after(5, HELD, PAID, refund('r0', 1)),
    'a cancelled order': after(5, HELD, CANCELLED),
  },
  happenings: {
    'it is paid': PAID,
    'it is cancelled': CANCELLED,
    'a refund puts a unit back': refund('r1', 1),
    'a refund puts everything back': refund('r2', 3),
    'its hold ends': ENDED,
    'its hold is given back by hand': change((books) => {
      const current = books.reservation(ORDER);
      books.take(current && release(current, LATER, CAUSE));
    }),
    'it is held again': HELD,
    'somebody takes what is free': TAKEN,
    'two units arrive': change((books) => books.book(adjustment(books.levelOf('MUG') as Stock, 2, CAUSE))),
    'the product is renamed': change((books) => facts.productUpdated(books, { sku: 'MUG', name: 'Cup', version: 2 })),
    'the product is archived': change((books) => facts.productArchived(books, { sku: 'MUG' })),
  },
  // What others buy is theirs, whatever became of this order: only a late payment competes with them for the same units.
  instead: OTHERS.map((what) => ['somebody takes what is free', what]),
  endOf: ({ stocks: [stock], reservations: [reservation] }) => ({
    state: reservation?.state === 'RELEASED' || reservation?.state === 'RESTOCKED' ? 'all is back' : reservation?.state, onHand: stock?.onHand, reserved: stock?.reserved, name: stock?.name, discontinued: stock?.discontinued,
  }),
  races: [
    { of: ['it is paid', 'somebody takes what is free'], starts: [ENDED_HOLD], why: 'a lost hold is taken again if the stock is still there, else it is a shortfall' },
    { of: ['its hold ends', 'it is held again'], starts: ['a held order', 'a held order for the last units', ENDED_HOLD], why: 'to hold again what is held changes nothing, and what has ended is held anew' },
    { of: ['its hold is given back by hand', 'it is held again'], starts: [ENDED_HOLD], why: 'a new hold can be given back, one that has ended is back already' },
    { of: ['it is held again', 'the product is archived'], starts: [ENDED_HOLD], why: 'an archived product is not held again' },
  ],
});
