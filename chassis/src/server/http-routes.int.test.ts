import { constants } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sumAt } from '../../../test/support/metrics.ts';
import { openSession, raw, rest } from '../../test/callers.ts';
import { type Stub, startStub } from '../../test/stub-server.ts';
import { refuse } from '../api/errors.ts';
import type { HttpResponse } from './http-routes.ts';

let server: Stub;
const arrived = Promise.withResolvers<void>();
const endless = Promise.withResolvers<HttpResponse>();
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
        '/endless': async () => {
          arrived.resolve();
          return endless.promise;
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

  it('counts requests by route and status', async () => {
    const counted = async (route: string): Promise<number> => sumAt(server.url, 'millrace_http_requests_total', `route="${route}"`);
    const before = await counted('/static/[*]');
    await fetch(`${server.url}/static/x`);
    await fetch(`${server.url}/static/y`);
    await fetch(`${server.url}/broken`);
    expect(await counted('/static/[*]')).toBe(before + 2);
    expect(await sumAt(server.url, 'millrace_http_requests_total', 'route="/broken",status="500"')).toBeGreaterThan(0);
    expect(await counted('/static/x')).toBe(0);
  });

  it('counts those too whose caller did not wait', async () => {
    await using asking = openSession(server.url);
    const left = asking.session.request({ ':method': 'GET', ':path': '/endless' }).on('error', () => {});
    await arrived.promise;
    left.close(constants.NGHTTP2_CANCEL);
    await asking.request({ ':method': 'GET', ':path': '/healthz' }); // by now the server has seen that
    endless.resolve({ status: 200 });
    expect(await sumAt(server.url, 'millrace_http_requests_total', 'route="/endless",status="499"')).toBe(1);
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

