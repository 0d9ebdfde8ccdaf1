// millrace order watch: follows one order, over restarts of the service and lost connections.
import { Code, ConnectError } from '@connectrpc/connect';
import { OrderSchema, OrderService, OrderStateSchema, PaymentStateSchema } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { type Call, expectArgs } from '../command.ts';
import { pause } from '../connection.ts';
import { showEnum, showTime } from '../values.ts';

/** Tries in a row without a message in between; with the pauses about a minute. */
const MAX_TRIES = 30;
const PAUSE_MS = 2_000;
/** Longer than any unary call: the server ends forgotten streams, and this goes on where it was. */
const STREAM_MS = 3_600_000;

export async function watchOrder(call: Call): Promise<void> {
  const [orderId] = expectArgs(call, 'ORDER_ID');
  let afterVersion = call.flags.whole('after-version') ?? 0;
  for (let tries = 0; ; tries += 1) {
    try {
      const stream = call.client(OrderService).watchOrder({ orderId, afterVersion }, { signal: call.signal, timeoutMs: STREAM_MS });
      for await (const { order } of stream) {
        tries = 0;
        if (!order) continue; // a sign of life
        afterVersion = order.version;
        call.out.item(OrderSchema, order, () =>
          call.out.line([showTime(order.updateTime), showEnum(OrderStateSchema, order.state), `payment ${showEnum(PaymentStateSchema, order.paymentState)}`, order.cancelReason, `version ${order.version}`].filter(Boolean).join('  ')),
        );
      }
      return; // the stream ends by itself when the order is over
    } catch (error) {
      if (call.signal.aborted) return;
      if (!isPassing(error) || tries >= MAX_TRIES) throw error;
      if (tries === 0) call.out.note('The connection was lost; trying again.');
      await pause(PAUSE_MS, call.signal);
    }
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof ConnectError && [Code.Unavailable, Code.Canceled, Code.Aborted, Code.DeadlineExceeded].includes(error.code);
}
