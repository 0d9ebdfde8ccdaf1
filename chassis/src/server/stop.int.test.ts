import { Code, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@millrace/gen/grpc/health/v1/health_pb.js';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { describe, expect, it } from 'vitest';
import { all, eventually, failure, raw, refused } from '../../test/callers.ts';
import { startStub } from '../../test/stub-server.ts';
import { errorInfo, retryAfter } from '../api/errors.ts';
import { createServiceClient } from '../clients/service-client.ts';

describe('a stopping server', () => {
  it.each([
    ['h2c', '2' as const],
    ['HTTP/1.1', '1.1' as const],
  ])('finishes the call in flight over %s, and takes no new connection', async (_title, httpVersion) => {
    const held = Promise.withResolvers<void>();
    let entered = false;
    await using server = await startStub({
      async getProduct({ sku }) {
        entered = true;
        await held.promise;
        return { product: { sku } };
      },
    });
    const client = createClient(ProductService, createConnectTransport({ httpVersion, baseUrl: server.url }));
    const inFlight = client.getProduct({ sku: 'MUG' }, server.authorized());
    await eventually(() => entered, 'the call arrives');
    const stopped = server.stop(10_000);
    await refused(server.port);
    expect(server.health.get('')).toBe(Status.NOT_SERVING);
    const late = createClient(ProductService, createConnectTransport({ httpVersion, baseUrl: server.url }));
    const error = await failure(late.getProduct({ sku: 'MUG' }, server.authorized()));
    expect(error.code).toBe(Code.Unavailable);
    held.resolve();
    expect((await inFlight).product?.sku).toBe('MUG');
    await stopped;
  });

  it('aborts what is still in flight when the grace is over, and says that the outcome is unknown', async () => {
    let aborted = false;
    let entered = false;
    await using server = await startStub({
      getProduct: async (_request, { signal }) =>
        new Promise(() => {
          entered = true;
          signal.addEventListener('abort', () => (aborted = true));
        }),
    });
    const client = createClient(ProductService, createGrpcTransport({ baseUrl: server.url }));
    const call = failure(client.getProduct({ sku: 'MUG' }, server.authorized()));
    await eventually(() => entered, 'the call arrives');
    await server.stop(50);
    const error = await call;
    expect([error.code, errorInfo(error)?.reason, aborted]).toEqual([Code.Unavailable, 'DEPENDENCY_UNAVAILABLE', true]);
  });

  it('ends watches at once with Unavailable, so that clients open them elsewhere', async () => {
    let open = 0;
    await using server = await startStub(
      {},
      {
        services: [InventoryService],
        routes: (router) =>
          router.service(InventoryService, {
            async *watchStock(_request, { signal }) {
              open += 1;
              yield {};
              await new Promise((resolve) => signal.addEventListener('abort', resolve));
              open -= 1;
            },
          }),
      },
    );
    const client = createClient(InventoryService, createGrpcTransport({ baseUrl: server.url }));
    const watch = failure(all(client.watchStock({ skus: ['MUG'] }, server.authorized())));
    await eventually(() => open === 1, 'the watch is open');
    const started = performance.now();
    await server.stop(10_000);
    const error = await watch;
    expect([error.code, errorInfo(error)?.reason, retryAfter(error)]).toEqual([Code.Unavailable, 'OVERLOADED', 0]);
    await eventually(() => open === 0, 'the handler has let go');
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('tells health watchers before it goes', async () => {
    await using server = await startStub();
    const client = createClient(Health, createGrpcTransport({ baseUrl: server.url }));
    const seen: Status[] = [];
    const watch = (async () => {
      for await (const { status } of client.watch({ service: '' })) seen.push(status);
    })().catch(() => {});
    await eventually(() => seen.length === 1, 'the first status');
    await server.stop();
    await watch;
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
  });

  it('is not held up by silent, idle or half-open connections', async () => {
    await using server = await startStub();
    await fetch(`${server.url}/healthz`);
    const client = createClient(ProductService, createConnectTransport({ httpVersion: '2', baseUrl: server.url }));
    await client.getProduct({ sku: 'MUG' }, server.authorized());
    const silent = [raw(server.port, ''), raw(server.port, 'GET /healthz HTTP/1.1\r\nHo')];
    const started = performance.now();
    await server.stop(10_000);
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(await Promise.all(silent)).toEqual(['', '']);
  });

  it('may be told twice', async () => {
    const server = await startStub();
    await Promise.all([server.stop(), server.stop(0)]);
    await expect(fetch(server.url)).rejects.toThrow('fetch failed');
  });
});

it('restarts under load cost no call, neither a read nor a change', async () => {
  const handlers: Parameters<typeof startStub>[0] = {
    async getProduct({ sku }) {
      await tick();
      return { product: { sku } };
    },
    async createProduct({ product }) {
      await tick();
      return { product };
    },
  };
  const options = { verify: async () => ({ subject: 'order', role: 'service' as const }) };
  let server = await startStub(handlers, options);
  const client = createServiceClient(ProductService, { url: server.url, token: server.token });
  const change = { product: { sku: 'MUG', name: 'Mug', price: { currencyCode: 'EUR', minorUnits: 1n } } };
  const failures: unknown[] = [];
  let done = 0;
  const stop = new AbortController();
  const lanes = Array.from({ length: 16 }, async (_, lane) => {
    while (!stop.signal.aborted) {
      await (lane % 2 ? client.getProduct({ sku: 'MUG' }) : client.createProduct(change)).catch((error: unknown) => failures.push(error));
      done += 1;
    }
  });
  for (let restart = 1; restart <= 3; restart += 1) {
    await eventually(() => done >= restart * 100, 'some calls');
    await server.stop(10_000);
    server = await startStub(handlers, { ...options, port: server.port });
  }
  await eventually(() => done >= 400, 'calls after the last restart');
  stop.abort();
  await Promise.all(lanes);
  await server.stop(0);
  expect(failures).toEqual([]);
});

async function tick(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1));
}
