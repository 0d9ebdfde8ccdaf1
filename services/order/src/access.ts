// Whose orders a caller may see and change.
import type { Caller } from '@millrace/chassis/api/auth';
import { refuse } from '@millrace/chassis/api/errors';
import type { Order } from './order.ts';

/** The order, if it is there and the caller's; otherwise the same NOT_FOUND. */
export function theirs(caller: Caller, orderId: string, order: Order | undefined): Order {
  if (order === undefined || (caller.role === 'buyer' && order.customer.customerId !== caller.subject)) {
    throw refuse('NOT_FOUND', `there is no order ${orderId}`);
  }
  return order;
}

/** Who buys: a buyer for themselves only; back ends and operators for anybody, and for themselves when they name nobody. */
export function customerIdFor(caller: Caller, customerId: string): string {
  if (caller.role === 'buyer' && customerId !== '' && customerId !== caller.subject) {
    throw refuse('PERMISSION_DENIED', 'a buyer places orders for themselves only: leave customer_id out');
  }
  return customerId || caller.subject;
}
