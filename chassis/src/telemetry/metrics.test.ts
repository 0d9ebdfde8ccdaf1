import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { counter, createRegistry, gauge, rpcMetrics } from './metrics.ts';

it('calls are counted by code, and timed', async () => {
  const registry = new Registry();
  const observe = rpcMetrics(registry);
  observe('a.B/C', 'ok', 0.002);
  observe('a.B/C', 'not_found', 0.2);
  const text = await registry.metrics();
  expect(text).toContain('millrace_rpc_calls_total{rpc="a.B/C",code="not_found"} 1');
  expect(text).toContain('millrace_rpc_duration_seconds_bucket{le="0.0025",rpc="a.B/C"} 1');
  expect(text).toContain('millrace_rpc_duration_seconds_count{rpc="a.B/C"} 2');
});

it('a gauge is read when somebody looks, and a counter counts', async () => {
  const registry = new Registry();
  let backlog = 1;
  gauge(registry, 'backlog', 'Unsent events.', () => backlog);
  const count = counter(registry, 'mails_total', 'Mails.', ['kind']);
  count({ kind: 'receipt' });
  count({ kind: 'receipt' }, 2);
  backlog = 7;
  const text = await registry.metrics();
  expect(text).toContain('backlog 7');
  expect(text).toContain('mails_total{kind="receipt"} 3');
});

it('several services in one process keep their metrics apart', async () => {
  const [first, second] = [createRegistry('order'), createRegistry('payment')];
  rpcMetrics(first)('a.B/C', 'ok', 1);
  expect(await first.metrics()).toContain('service="order"');
  expect(await second.metrics()).not.toContain('a.B/C');
});
