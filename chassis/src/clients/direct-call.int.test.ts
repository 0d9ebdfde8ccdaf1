// The same implementation by wire and directly: its callers can't tell the difference.
import type { ServiceImpl } from '@connectrpc/connect';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { ViolationsSchema } from '@millrace/gen/buf/validate/validate_pb.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { failure } from '../../test/callers.ts';
import { type Stub, startStub } from '../../test/stub-server.ts';
import { callerOf } from '../api/auth.ts';
import { errorInfo, refuse, retryAfter, toConnectError } from '../api/errors.ts';
import { createLog } from '../telemetry/log.ts';
import { createDirectCall } from './direct-call.ts';
import { createServiceClient, isOutcomeUnknown } from './service-client.ts';

const failures: Record<string, () => Error> = {
  REFUSED: () => refuse('OUT_OF_STOCK', '3 of REFUSED were asked for', { sku: 'REFUSED', requested: '3', available: '2' }),
  BUSY: () => refuse('OVERLOADED', 'too many requests are waiting', {}, 1_500),
  AWAY: () => refuse('DEPENDENCY_UNAVAILABLE', 'the database is away', {}, 1_500),
  DATABASE: () => Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' }),
  LATE: () => new DOMException('the operation was aborted', 'AbortError'),
  BROKEN: () => new Error('relation "products" does not exist'),
  STRANGER: () => toConnectError(refuse('UNAUTHENTICATED', 'this call needs a token')),
};

const deleteProduct: ServiceImpl<typeof ProductService>['deleteProduct'] = ({ sku }, context) => {
  const error = failures[sku]?.();
  if (error) throw error;
  return { product: { sku, name: callerOf(context).subject, attributes: { colour: 'red' }, price: { currencyCode: 'EUR', minorUnits: 1n } } };
};

let stub: Stub;
beforeAll(async () => void (stub = await startStub({ deleteProduct })));
afterAll(async () => stub.stop(0));

const byWire = () => createServiceClient(ProductService, { url: stub.url, token: stub.token }).deleteProduct;
const directly = (lines: string[] = []) =>
  createDirectCall(ProductService.method.deleteProduct, deleteProduct, { caller: { subject: 'ann', role: 'admin' }, log: createLog('product', 'debug', { write: (line: string) => lines.push(line) }) });

test('an answer is the same message', async () => {
  expect(await directly()({ sku: 'MUG' })).toEqual(await byWire()({ sku: 'MUG' }));
});

test.each([...Object.keys(failures), 'not a sku'])('the failure %s is the same error, for the caller and for whom the caller tells', async (sku) => {
  const [wire, direct] = [await failure(byWire()({ sku })), await failure(directly()({ sku }))];
  const seen = (error: typeof wire) => ({
    code: error.code,
    message: error.message,
    info: errorInfo(error),
    retryAfter: retryAfter(error),
    violations: error.findDetails(ViolationsSchema),
    unknown: isOutcomeUnknown(error),
    said: [toConnectError(error).code, errorInfo(toConnectError(error)), toConnectError(error).rawMessage],
  });
  expect(seen(direct)).toEqual(seen(wire));
});

test("a failure that is the callee's fault is a line in its log, with the cause", async () => {
  const lines: string[] = [];
  await failure(directly(lines)({ sku: 'BROKEN' }));
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ service: 'product', level: 'error', err: { message: 'relation "products" does not exist' } }]);
});
