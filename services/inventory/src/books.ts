// The locked rows of one transaction while it is decided what becomes of them: decisions see what the ones before them did. Pure.
import type { Notice, Reservation, Step } from './reservation.ts';
import { move, settle, type Alert, type Movement, type Stock } from './stock.ts';

export type Closing = {
  /** Levels to write, each with what it says. */
  stocks: { stock: Stock; changed: boolean; alert?: Alert | undefined }[];
  added: Reservation[];
  changed: Reservation[];
  movements: Movement[];
  notices: Notice[];
};

export class Books {
  readonly now: Date;
  readonly #stocksBefore: ReadonlyMap<string, Stock>;
  readonly #reservationsBefore: ReadonlyMap<string, Reservation>;
  readonly #stocks: Map<string, Stock>;
  readonly #reservations: Map<string, Reservation>;
  readonly #movements: Movement[] = [];
  readonly #notices: Notice[] = [];

  constructor(now: Date, stocks: Iterable<Stock>, reservations: Iterable<Reservation>) {
    this.now = now;
    this.#stocksBefore = new Map([...stocks].map((stock) => [stock.sku, stock]));
    this.#reservationsBefore = new Map([...reservations].map((reservation) => [reservation.orderId, reservation]));
    this.#stocks = new Map(this.#stocksBefore);
    this.#reservations = new Map(this.#reservationsBefore);
  }

  readonly levelOf = (sku: string): Stock | undefined => this.#stocks.get(sku);

  reservation(orderId: string): Reservation | undefined {
    return this.#reservations.get(orderId);
  }

  keep(stock: Stock): void {
    this.#stocks.set(stock.sku, stock);
  }

  book(movement: Movement): void {
    const stock = this.#stocks.get(movement.sku);
    if (stock === undefined) throw new LostRaceError(`the stock of ${movement.sku} was not locked`);
    this.keep(move(stock, movement));
    this.#movements.push(movement);
  }

  /** Takes a step, or nothing when there is none. */
  take(step: Step | undefined): void {
    if (step === undefined) return;
    step.movements.forEach((movement) => this.book(movement));
    this.#reservations.set(step.reservation.orderId, step.reservation);
    this.#notices.push(...step.notices);
  }

  close(): Closing {
    const stocks = [...this.#stocks].flatMap(([sku, after]) => {
      const before = this.#stocksBefore.get(sku);
      return before === undefined || before === after ? [] : [settle(before, after, this.now)];
    });
    const touched = [...this.#reservations.values()].filter((after) => this.#reservationsBefore.get(after.orderId) !== after);
    return {
      stocks,
      added: touched.filter(({ orderId }) => !this.#reservationsBefore.has(orderId)),
      changed: touched.filter(({ orderId }) => this.#reservationsBefore.has(orderId)),
      movements: this.#movements,
      notices: this.#notices,
    };
  }
}

/** Somebody else was faster between two statements. The code is Postgres's own for it: the transaction runs again. */
export class LostRaceError extends Error {
  readonly code = '40001';
}
