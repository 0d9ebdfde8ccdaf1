import net from 'node:net';
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, failure } from '../../test/callers.ts';
import { type Stub, startStub } from '../../test/stub-server.ts';
import { type Reason, errorInfo, refuse, toConnectError } from '../api/errors.ts';
import { createServiceClient, isOutcomeUnknown } from './service-client.ts';

const NEW = { product: { sku: 'MUG', name: 'Mug', price: { currencyCode: 'EUR', minorUnits: 100n } } };
const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0)) await undo();
});

describe('a client for a neighbour', () => {
  it('brings its token and a deadline', async () => {
    let left: number | undefined;
    const server = await stub({
      getProduct(request, context) {
        left = context.timeoutMs();
        return { product: { sku: request.sku } };
      },
    });
    expect((await clientOf(server).getProduct({ sku: 'MUG' })).product?.sku).toBe('MUG');
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(5_000);
  });

  it("gives an error the neighbour's headers and trailers, under their own names", async () => {
    const server = await stub({
      getProduct(_, context) {
        context.responseHeader.set('x-early', 'told');
        context.responseTrailer.set('x-late', 'told');
        throw new ConnectError('no', Code.NotFound);
      },
    });
    const { metadata } = await failure(clientOf(server).getProduct({ sku: 'MUG' }));
    expect([metadata.get('x-early'), metadata.get('x-late'), metadata.get('trailer-x-late')]).toEqual(['told', 'told', null]);
  });

  it('takes a deadline that has passed as passed, not as none', async () => {
    const server = await stub({ getProduct: async () => new Promise(() => {}) });
    expect((await failure(clientOf(server).getProduct({ sku: 'MUG' }, { timeoutMs: 0 }))).code).toBe(Code.DeadlineExceeded);
  });

  it('gives up on a neighbour that accepts and never answers', async () => {
    const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
    await eventually(() => silent.listening, 'listening');
    cleanUp.push(async () => silent.close());
    const client = createServiceClient(ProductService, { url: `http://127.0.0.1:${(silent.address() as net.AddressInfo).port}`, token: 'a.b.c', timeoutMs: 200 });
    const error = await failure(client.getProduct({ sku: 'MUG' }));
    expect([error.code, isOutcomeUnknown(error)]).toEqual([Code.DeadlineExceeded, true]);
  });

  it('repeats a read while the neighbour says Unavailable, at most twice', async () => {
    let calls = 0;
    const server = await stub({
      getProduct({ sku }) {
        calls += 1;
        if (calls < 3 || sku === 'NEVER') throw refuse('DEPENDENCY_UNAVAILABLE', 'not now', undefined, 1);
        return { product: { sku } };
      },
    });
    expect((await clientOf(server).getProduct({ sku: 'MUG' })).product?.sku).toBe('MUG');
    expect(calls).toBe(3);
    calls = 0;
    expect(errorInfo(await failure(clientOf(server).getProduct({ sku: 'NEVER' })))?.reason).toBe('DEPENDENCY_UNAVAILABLE');
    expect(calls).toBe(3);
  });

  it('does not wait for a neighbour that wants to be left alone for long', async () => {
    const { client, calls } = await refusing('OVERLOADED', 30_000);
    await failure(client.getProduct({ sku: 'MUG' }));
    expect(calls()).toBe(1);
  });

  it('does not repeat a call whose deadline would pass in the pause', async () => {
    const { client, calls } = await refusing('DEPENDENCY_UNAVAILABLE', 900);
    const error = await failure(client.getProduct({ sku: 'MUG' }, { timeoutMs: 800 }));
    expect([error.code, errorInfo(error)?.reason, calls()]).toEqual([Code.Unavailable, 'DEPENDENCY_UNAVAILABLE', 1]);
  });

  it('never repeats a change that may have been carried out', async () => {
    let calls = 0;
    const server = await stub({
      createProduct() {
        calls += 1;
        throw refuse('DEPENDENCY_UNAVAILABLE', 'perhaps', undefined, 1);
      },
    });
    expect(isOutcomeUnknown(await failure(clientOf(server).createProduct(NEW)))).toBe(true);
    expect(calls).toBe(1);
  });

  it('stops repeating when most calls fail', async () => {
    const { client, calls } = await refusing('DEPENDENCY_UNAVAILABLE', 1);
    for (let call = 0; call < 50; call += 1) await failure(client.getProduct({ sku: 'MUG' }));
    expect(calls()).toBe(60); // a budget of ten
  });

  it('knows that a refused connection sent nothing', async () => {
    const server = await stub({});
    await server.stop(0);
    const error = await failure(clientOf(server).createProduct(NEW));
    expect([error.code, isOutcomeUnknown(error)]).toEqual([Code.Unavailable, false]);
    expect(toConnectError(error).rawMessage).not.toContain('127.0.0.1');
  });

  it('calls the outcome unknown when the neighbour dies in the middle', async () => {
    let entered = false;
    const server = await stub({
      createProduct: async () => {
        entered = true;
        return new Promise(() => {});
      },
    });
    // In between, so that it can vanish like a killed process.
    const sockets: net.Socket[] = [];
    const proxy = net.createServer((socket) => {
      const up = net.connect(server.port, '127.0.0.1');
      sockets.push(socket, up);
      socket.pipe(up).on('error', () => {});
      up.pipe(socket).on('error', () => {});
    });
    proxy.listen(0, '127.0.0.1');
    await eventually(() => proxy.listening, 'listening');
    cleanUp.push(async () => proxy.close());
    const client = createServiceClient(ProductService, { url: `http://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`, token: server.token });
    const call = failure(client.createProduct(NEW));
    await eventually(() => entered, 'the call arrives');
    for (const socket of sockets) socket.resetAndDestroy();
    const error = await call;
    expect([error.code, isOutcomeUnknown(error)]).toEqual([Code.Unavailable, true]);
    expect(errorInfo(toConnectError(error))?.reason).toBe('DEPENDENCY_UNAVAILABLE');
  });

  it('says Canceled when it was cancelled by its own caller', async () => {
    let context: HandlerContext | undefined;
    const server = await stub({
      getProduct: async (_request, given) => {
        context = given;
        return new Promise(() => {});
      },
    });
    const stop = new AbortController();
    const call = failure(clientOf(server).getProduct({ sku: 'MUG' }, { signal: stop.signal }));
    await eventually(() => context !== undefined, 'the call arrives');
    stop.abort();
    expect((await call).code).toBe(Code.Canceled);
    await eventually(() => context?.signal.aborted === true, 'the handler hears of it');
  });

  it('waits for a neighbour that restarts, also with a change, which it has not seen yet', async () => {
    const first = await stub({});
    const client = clientOf(first);
    await client.getProduct({ sku: 'MUG' });
    await first.stop();
    const change = client.createProduct(NEW);
    await expect(fetch(first.url)).rejects.toThrow('fetch failed'); // nobody there yet
    await stub({ createProduct: () => ({ product: { sku: 'MUG' } }) }, { port: first.port, verify: async () => ({ subject: 'x', role: 'service' }) });
    expect((await change).product?.sku).toBe('MUG');
  });

  it('does not wait for one that has been away for long', async () => {
    const server = await stub({});
    await server.stop(0);
    const client = clientOf(server);
    await failure(client.getProduct({ sku: 'MUG' }));
    const started = performance.now();
    expect((await failure(client.getProduct({ sku: 'MUG' }))).code).toBe(Code.Unavailable);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('survives a restart of the neighbour without a failed read', async () => {
    const first = await stub({});
    const client = clientOf(first);
    await client.getProduct({ sku: 'MUG' });
    await first.stop();
    const second = await stub({}, { port: first.port, verify: async () => ({ subject: 'x', role: 'service' }) });
    expect((await client.getProduct({ sku: 'MUG' })).product?.name).toBe('product MUG');
    expect(second.port).toBe(first.port);
  });
});

it('what did not come from a call has no unknown outcome', () => {
  expect(isOutcomeUnknown(new Error('x'))).toBe(false);
  expect(isOutcomeUnknown(new ConnectError('x', Code.NotFound))).toBe(false);
});

async function stub(...args: Parameters<typeof startStub>): Promise<Stub> {
  const server = await startStub(...args);
  cleanUp.push(async () => server.stop(0));
  return server;
}

/** A client of a server that refuses every look-up, and how many there were. */
async function refusing(reason: Reason, retryAfterMs: number) {
  let calls = 0;
  const server = await stub({
    getProduct() {
      calls += 1;
      throw refuse(reason, 'not now', undefined, retryAfterMs);
    },
  });
  return { client: clientOf(server), calls: () => calls };
}

function clientOf(server: Stub) {
  return createServiceClient(ProductService, { url: server.url, token: server.token });
}
