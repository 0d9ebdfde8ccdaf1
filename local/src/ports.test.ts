import { expect, test } from 'vitest';
import { portPlan, readPortBase } from './ports.ts';

test('the ports are those that runtime.json promises', () => {
  expect(portPlan(readPortBase(undefined))).toEqual({ edge: 8080, order: 8081, product: 8082, inventory: 8083, payment: 8084, notification: 8085, sandbox: 8090, nats: 8092, postgres: 8093 });
});

test('services that run together share one port', () => {
  expect(portPlan(8080, true)).toEqual({ edge: 8080, order: 8081, product: 8081, inventory: 8081, payment: 8081, notification: 8081, sandbox: 8090, nats: 8092, postgres: 8093 });
});

test('another base moves every port by as much', () => {
  const [here, there] = [portPlan(8080), portPlan(readPortBase('9080'))];
  expect(Object.keys(there)).toEqual(Object.keys(here));
  expect(Object.values(there)).toEqual(Object.values(here).map((port) => port + 1000));
});

test.each(['abc', '-1', '0', '80.5', '65530'])('a base of %s is refused', (text) => {
  expect(() => readPortBase(text)).toThrow(/MILLRACE_PORT_BASE must be a number from 1 to 65522/);
});
