import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSession, raw, rest } from '../test/callers.ts';
import { type Stub, startStub } from '../test/stub-server.ts';
import { refuse } from './errors.ts';

let server: Stub;
beforeAll(async () => {
  server = await startStub(
    {},
    {
      http: {
        '/webhooks/stripe': async ({ method, url, headers, body }) => ({ status: 202, body: `${method} ${url} ${headers.get('x-test')} ${Buffer.from(body).toString()}` }),
        '/static/*': async ({ url }) => ({ status: 200, body: url }),
        '/broken': async () => {
          throw new Error('secret plan');
        },
        '/slow-down': async () => {
          throw refuse('RATE_LIMITED', 'too fast', undefined, 2_500);
        },
      },
    },
  );
});
afterAll(async () => server.stop(0));

describe('plain HTTP', () => {
  it('answers health, readiness and metrics without a token', async () => {
    await rest(server, '{"sku":"MUG"}');
    expect(await (await fetch(`${server.url}/healthz`)).text()).toBe('product is alive\n');
    expect(await (await fetch(`${server.url}/readyz`)).json()).toEqual({ ok: true, detail: {} });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/millrace_rpc_calls_total\{rpc="millrace.product.v1.ProductService\/GetProduct",code="ok",service="product"\} \d+/);
    expect(metrics).toMatch(/^millrace_uncaught_errors\{service="product"\} 0$/m);
    expect(metrics).toMatch(/^process_resident_memory_bytes/m);
    expect(metrics).toMatch(/^nodejs_eventloop_lag_p99_seconds/m);
  });

  it('hands raw bodies to routes, exact or by prefix', async () => {
    const answer = await fetch(`${server.url}/webhooks/stripe?a=1`, { method: 'POST', body: '{"raw": 1}', headers: { 'x-test': 'yes' } });
    expect([answer.status, await answer.text()]).toEqual([202, 'POST /webhooks/stripe?a=1 yes {"raw": 1}']);
    expect(await (await fetch(`${server.url}/static/a/b.js`)).text()).toBe('/static/a/b.js');
  });

  it('is a route over HTTP/2 too', async () => {
    await using session = openSession(server.url);
    expect((await session.request({ ':method': 'POST', ':path': '/webhooks/stripe', 'x-test': 'h2' }, Buffer.from('x'))).text).toContain('POST /webhooks/stripe h2 x');
  });

  it.each([
    ['/nothing', 404, /nothing/],
    ['/broken', 500, /^\{"code":"internal","message":"internal error"\}$/],
    ['/slow-down', 429, /RATE_LIMITED/],
  ])('%s is a %i', async (path, status, text) => {
    const answer = await fetch(server.url + path);
    expect(answer.status).toBe(status);
    expect(await answer.text()).toMatch(text);
  });

  it('says when to come back', async () => {
    expect((await fetch(`${server.url}/slow-down`)).headers.get('retry-after')).toBe('3');
  });

  it('refuses a body over 1 MiB', async () => {
    const answer = await fetch(`${server.url}/webhooks/stripe`, { method: 'POST', body: Buffer.alloc(1_048_577) });
    expect(answer.status).toBe(429);
  });

  it('goes to the fallback when nothing else serves it, but never with a hostile host', async () => {
    const seen: string[] = [];
    await using edge = await startStub({}, { fallback: (request, response) => (seen.push(request.url ?? ''), response.end('from the fallback')) });
    expect(await (await fetch(`${edge.url}/millrace.order.v1.OrderService/PlaceOrder`)).text()).toBe('from the fallback');
    expect(await raw(edge.port, 'GET /x HTTP/1.1\r\nHost: a:b:c\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /);
    expect(seen).toEqual(['/millrace.order.v1.OrderService/PlaceOrder']);
  });
});

