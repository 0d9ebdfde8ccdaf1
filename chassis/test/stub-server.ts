// A real server on a free port, with the product service's contract and handlers made for the test.
import type { ServiceImpl } from '@connectrpc/connect';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { type TestKeys, testKeys } from '../../test/support/tokens.ts';
import { createVerifier } from '../src/api/auth.ts';
import { type Server, type ServerOptions, startServer } from '../src/server/server.ts';
import { createLog } from '../src/telemetry/log.ts';

export type Stub = Server & AsyncDisposable & { lines: Record<string, unknown>[]; keys: TestKeys; token: string; authorized(more?: Record<string, string>): { headers: Record<string, string> } };

export async function startStub(handlers: Partial<ServiceImpl<typeof ProductService>> = {}, options: Partial<ServerOptions> = {}): Promise<Stub> {
  const keys = await testKeys();
  const lines: Record<string, unknown>[] = [];
  const log = createLog('product', 'debug', { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  const getProduct: ServiceImpl<typeof ProductService>['getProduct'] = ({ sku }) => ({ product: { sku, name: `product ${sku}` } });
  const server = await startServer({
    name: 'product',
    host: '127.0.0.1',
    port: 0,
    log,
    verify: createVerifier(keys.jwks),
    services: [ProductService],
    routes: (router) => router.service(ProductService, { getProduct, ...handlers }),
    ready: async () => ({ ok: true, detail: {} }),
    ...options,
  });
  const token = await keys.token('ann', 'admin');
  const authorized = (more = {}): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${token}`, ...more } });
  return { ...server, lines, keys, token, authorized, [Symbol.asyncDispose]: async () => server.stop(0) };
}
