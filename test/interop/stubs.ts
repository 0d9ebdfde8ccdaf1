// Real chassis servers with stub handlers behind a real edge: what interoperability is tested against.
import { type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { createVerifier } from '@millrace/chassis/api/auth';
import { refuse } from '@millrace/chassis/api/errors';
import { type Server, startServer } from '@millrace/chassis/server/server';
import { createLog } from '@millrace/chassis/telemetry/log';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { DeadLetterService } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { startEdge } from '../../edge/src/main.ts';
import { testKeys } from '../support/tokens.ts';

export type Seen = { headers: Headers; url: string; body?: Uint8Array };
export type House = Awaited<ReturnType<typeof openHouse>>;

/** Names of skus to which the stubs answer in a special way. */
export const SKU = { unknown: 'unknown', slow: 'slow', endless: 'endless', failsLater: 'fails-later' } as const;

/** Five ports, two servers: "product" serves everything but order, so that order can go away alone. */
export async function openHouse(options: { env?: Record<string, string> } = {}) {
  const keys = await testKeys();
  const log = createLog('stub', 'silent');
  const seen: Seen[] = [];
  const ended: string[] = [];
  const shared = { host: '127.0.0.1', log, verify: createVerifier(keys.jwks), ready: () => Promise.resolve({ ok: true, detail: {} }) };
  const note = (context: HandlerContext) => seen.push({ headers: new Headers(context.requestHeader), url: '' });
  const startMain = (port = 0) =>
    startServer({
      ...shared,
      name: 'product',
      port,
      services: [ProductService, InventoryService, DeadLetterService],
      routes: mainRoutes(note, ended),
      http: {
        '/webhooks/stripe': (request) => {
          seen.push(request);
          return Promise.resolve({ status: request.headers.get('stripe-signature') === 'good' ? 200 : 400, body: 'seen' });
        },
      },
    });
  const startOrder = (port = 0) => startServer({ ...shared, name: 'order', port, services: [OrderService], routes: orderRoutes(note, ended) });

  const main = await startMain();
  let order: Server = await startOrder();
  const stop = new AbortController();
  const edge = await startEdge(
    {
      PORT: '0',
      LOG_LEVEL: 'silent',
      MILLRACE_JWKS: keys.jwks,
      ORDER_URL: order.url,
      PRODUCT_URL: main.url,
      INVENTORY_URL: main.url,
      PAYMENT_URL: main.url,
      NOTIFICATION_URL: main.url,
      ...options.env,
    },
    stop.signal,
  );
  return {
    url: edge.url,
    edge,
    main,
    seen,
    /** Calls whose handler saw its signal abort, or its end. */
    ended,
    keys,
    token: await keys.token('admin', 'admin'),
    stopOrder: () => order.stop(0),
    startOrder: async () => { order = await startOrder(order.port); },
    async [Symbol.asyncDispose]() {
      await edge.stop();
      await Promise.all([main.stop(0), order.stop(0)]);
    },
  };
}

function mainRoutes(note: (context: HandlerContext) => void, ended: string[]) {
  return (router: ConnectRouter) => {
    router.service(ProductService, {
      async getProduct({ sku }, context) {
        note(context);
        context.responseHeader.set('x-stub', 'header');
        context.responseTrailer.set('x-stub-trailer', 'trailer');
        if (sku === SKU.unknown) throw refuse('NOT_FOUND', 'there is no such product', { sku }, 1_500);
        if (sku === SKU.slow) await untilAbort(context, ended, 'slow');
        return { product: { sku, name: 'A mug', price: { currencyCode: 'EUR', minorUnits: 1999n } } };
      },
      async importProducts(requests) {
        let created = 0;
        for await (const { product } of requests) {
          if (product?.sku === SKU.unknown) throw refuse('INVALID_FIELD', 'this one is not wanted', { sku: product.sku });
          created += 1;
        }
        ended.push(`imported ${created}`);
        return { created };
      },
    });
    router.service(InventoryService, {
      async *watchStock({ skus }, context) {
        context.responseTrailer.set('x-stub-trailer', 'trailer');
        for (const sku of skus) {
          yield { stockLevel: { sku } };
          if (sku === SKU.failsLater) throw refuse('OUT_OF_STOCK', 'none left', { sku, requested: '2', available: '1' });
          if (sku === SKU.slow) await untilAbort(context, ended, 'watch');
          // 64 KB a message, for ever, as fast as it is taken.
          for (let version = 1; sku === SKU.endless && !context.signal.aborted; version += 1) {
            yield { stockLevel: { sku: 'x'.repeat(65_536), version } };
            ended.splice(0, ended.length, `sent ${version}`);
          }
        }
      },
    });
    router.service(DeadLetterService, {
      listDeadLetters: (_, context) => {
        note(context);
        return { deadLetters: [{ deadLetterId: 'dl_1', service: 'product' }] };
      },
    });
  };
}

function orderRoutes(note: (context: HandlerContext) => void, ended: string[]) {
  return (router: ConnectRouter) => {
    router.service(OrderService, {
      getOrder: ({ orderId }, context) => {
        note(context);
        return { order: { orderId } };
      },
      async *watchOrder({ orderId }, context) {
        yield { order: { orderId, version: 1 } };
        await untilAbort(context, ended, 'watch order');
      },
    });
  };
}

async function untilAbort(context: HandlerContext, ended: string[], name: string): Promise<void> {
  await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve(), { once: true }));
  ended.push(name);
  context.signal.throwIfAborted();
}

/** Waits for a condition; a deadline makes it a failure. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, ms = 10_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
