import type { Tx } from '@millrace/chassis/database/db';
import { scopeOf, type Change } from './change.ts';
import { release, ReservationNotFoundError, type Reservation } from './reservation.ts';
import type { Cause } from './stock.ts';

export async function releaseStock(tx: Tx, change: Change, orderId: string, cause: Cause): Promise<Reservation> {
  return change(tx, await scopeOf(tx, [orderId]), (books) => {
    const current = books.reservation(orderId);
    if (current === undefined) throw new ReservationNotFoundError(orderId);
    books.take(release(current, books.now, cause));
    return books.reservation(orderId) ?? current;
  });
}
