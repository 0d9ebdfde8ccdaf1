import { expect, test } from 'vitest';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { Health } from '@millrace/gen/grpc/health/v1/health_pb.js';
import { SERVICES, rpcTable } from './routes.ts';

test('every RPC of the contracts goes to the service of its package', () => {
  const table = rpcTable();
  for (const service of SERVICES) {
    const word = service.typeName.split('.')[1];
    for (const method of service.methods) {
      expect(table.get(`/${service.typeName}/${method.name}`)?.owner).toBe(word === 'ops' ? undefined : word);
    }
  }
});

test('reads may be made by GET, and only unary calls count as such', () => {
  const table = rpcTable([OrderService]);
  expect(table.get('/millrace.order.v1.OrderService/GetOrder')).toEqual({ owner: 'order', unary: true, get: true });
  expect(table.get('/millrace.order.v1.OrderService/PlaceOrder')).toEqual({ owner: 'order', unary: true, get: false });
  expect(table.get('/millrace.order.v1.OrderService/WatchOrder')).toEqual({ owner: 'order', unary: false, get: false });
});

test('a service that nobody is known to serve is an error at the start, not at the first call', () => {
  expect(() => rpcTable([Health])).toThrow('grpc.health.v1.Health');
});
