import { createServer } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startProxy, type Proxy } from './proxy.ts';

let served = 0;
const server = createServer((_request, response) => {
  served += 1;
  response.end('done');
});
let proxy: Proxy;

beforeEach(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const address = server.address();
  proxy = await startProxy('web', typeof address === 'object' && address !== null ? address.port : 0);
  served = 0;
});
afterEach(async () => {
  await proxy.close();
  await new Promise((resolve) => server.close(resolve));
});

const post = async (path: string, limitMs = 5_000): Promise<string> => (await fetch(`http://127.0.0.1:${proxy.port}${path}`, { method: 'POST', signal: AbortSignal.timeout(limitMs) })).text();

test('without a fault everything passes', async () => {
  expect(await post('/')).toBe('done');
  expect(proxy.hits()).toBe(0);
});

test('a lost reply is lost after the server has done its work, and counted', async () => {
  proxy.set({ kind: 'lost_reply', loses: (head) => head.startsWith('POST /pay') });
  await expect(post('/pay')).rejects.toThrow('fetch failed');
  expect(served).toBe(1);
  expect(proxy.hits()).toBe(1);
  expect(await post('/other')).toBe('done');
});

test('what a blackhole held back arrives when it opens', async () => {
  proxy.set({ kind: 'blackhole', direction: 'from' });
  await expect(post('/', 200)).rejects.toThrow('timeout');
  expect(served).toBe(1);
  const late = post('/');
  proxy.set({ kind: 'none' });
  expect(await late).toBe('done');
});

test('a blackhole on the way there lets nothing reach the server', async () => {
  proxy.set({ kind: 'blackhole', direction: 'to' });
  await expect(post('/', 200)).rejects.toThrow('timeout');
  expect(served).toBe(0);
});

test('latency delays both ways', async () => {
  proxy.set({ kind: 'latency', ms: () => 60 });
  const began = performance.now();
  expect(await post('/')).toBe('done');
  expect(performance.now() - began).toBeGreaterThanOrEqual(115);
});

test('a reset ends old and new connections', async () => {
  proxy.set({ kind: 'reset' });
  await expect(post('/')).rejects.toThrow('fetch failed');
  expect(served).toBe(0);
});
