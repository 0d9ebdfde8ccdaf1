// Callers who mean no good, at the public port, while buyers go on buying: broken hosts, garbage, too much, too slow.
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Context, Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { pause, until } from '../wait.ts';
import { INTERNAL, check, underAttack } from './under-attack.ts';

const PLACE = '/millrace.order.v1.OrderService/PlaceOrder';
const LIST = '/millrace.product.v1.ProductService/ListProducts';
const ROUNDS: Lengths = { brief: 10, short: 20, full: 400 };
const OVERSIZED: Lengths = { brief: 1, short: 3, full: 20 };
const MUTATED: Lengths = { brief: 500, short: 1_500, full: 100_000 };
/** Garbage in flight at a time. */
const AT_ONCE = 16;
const IDLE: Lengths = { brief: 200, short: 400, full: 10_000 };
const IDLE_MS: Lengths = { brief: 3_000, short: 6_000, full: 30_000 };
const RELEASE_LIMIT_MS = 90_000;
const LEAST_GOODPUT = 0.7;
const RAW_LIMIT_MS = 5_000;

/** Sends bytes as they are; answers the first line that comes back, or '' when the connection just ends. */
async function raw(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let text = '';
    socket.setTimeout(RAW_LIMIT_MS, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1'))).on('error', () => {}).on('close', () => resolve(text.split('\r\n')[0] ?? ''));
    socket.on('data', () => socket.end());
  });
}

async function post({ system }: Context, path: string, body: string | Buffer, headers: Record<string, string>): Promise<number> {
  const { edge, tokens } = system.runtime;
  const response = await fetch(`${edge}${path}`, { method: 'POST', headers: { authorization: `Bearer ${tokens.service}`, ...headers }, body: typeof body === 'string' ? body : new Uint8Array(body) });
  await response.arrayBuffer();
  return response.status;
}

export const A1: Experiment = {
  id: 'A1',
  title: 'a missing, empty or broken Host',
  check,
  async run(context) {
    const { edge } = context.system.runtime;
    const request = (version: string, host: string): string => `POST ${PLACE} HTTP/${version}\r\n${host}content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`;
    const variants = [request('1.1', ''), request('1.1', 'Host:\r\n'), request('1.1', 'Host: a:b:c\r\n'), request('1.1', 'Host: a/../b\r\n'), request('1.0', '')];
    return underAttack(context, 'requests refused', async (tell) => {
      let count = 0;
      for (let i = 0; i < (context.by(ROUNDS)); i += 1) {
        for (const variant of variants) {
          const line = await raw(edge, variant);
          if (!/^HTTP\/1\.1 4\d\d/.test(line)) tell(`answered "${line}" to ${JSON.stringify(variant.slice(0, 80))}`);
          count += 1;
        }
      }
      return count;
    });
  },
};

export const A2: Experiment = {
  id: 'A2',
  title: 'mutated messages, wrong content types, broken envelopes',
  check,
  async run(context) {
    const { random } = context;
    const good = JSON.stringify({ requestId: 'r', customer: { name: 'N', email: 'e@example.com' }, lines: [{ sku: 'none', quantity: 1 }], paymentMethod: 'pm_card_visa' });
    const types = ['application/json', 'application/proto', 'application/grpc', 'application/grpc-web+proto', 'application/connect+json', 'text/plain', ''];
    const mutate = (): string | Buffer => {
      const roll = random.next();
      if (roll < 0.1) return '['.repeat(5_000);
      if (roll < 0.3) return Buffer.from(Array.from({ length: Math.floor(random.between(0, 200)) }, () => Math.floor(random.next() * 256)));
      const bytes = Buffer.from(good);
      for (let i = 0; i < 1 + random.next() * 4; i += 1) bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256);
      return roll < 0.5 ? bytes.subarray(0, Math.floor(random.next() * bytes.length)) : bytes;
    };
    return underAttack(context, 'mutated messages', async (tell) => {
      const jobs = Array.from({ length: context.by(MUTATED) }, () => ({ path: random.pick([PLACE, LIST]), type: random.pick(types), body: mutate() })).values();
      let count = 0;
      await Promise.all(Array.from({ length: AT_ONCE }, async () => {
        for (const { path, type, body } of jobs) {
          const status = await post(context, path, body, type === '' ? {} : { 'content-type': type }).catch(() => 0);
          count += 1;
          if (status === INTERNAL) tell(`${status} to ${type} ${JSON.stringify(body.toString('latin1').slice(0, 120))}`);
        }
      }));
      return count;
    });
  },
};

export const A3: Experiment = {
  id: 'A3',
  title: 'too much: 2 MiB, a gzip bomb, ten thousand lines, endless headers',
  check,
  async run(context) {
    const { edge } = context.system.runtime;
    const json = { 'content-type': 'application/json' };
    const bomb = gzipSync(Buffer.alloc(100 * 1024 ** 2, '{'));
    const lines = JSON.stringify({ requestId: 'many', lines: Array.from({ length: 10_000 }, () => ({ sku: 'x', quantity: 1 })) });
    const attempts: [string, () => Promise<number>][] = [
      ['2 MiB', async () => post(context, PLACE, 'x'.repeat(2 * 1024 ** 2), json)],
      ['a gzip bomb', async () => post(context, PLACE, bomb, { ...json, 'content-encoding': 'gzip' })],
      ['10,000 lines', async () => post(context, PLACE, lines, json)],
      ['endless headers', async () => Number((await raw(edge, `POST ${PLACE} HTTP/1.1\r\nHost: a\r\n${'x-header: y\r\n'.repeat(50_000)}\r\n`)).split(' ')[1] ?? 0)],
    ];
    return underAttack(context, 'oversized requests', async (tell) => {
      let count = 0;
      for (let i = 0; i < (context.by(OVERSIZED)); i += 1) {
        for (const [name, attempt] of attempts) {
          const status = await attempt().catch(() => 0);
          count += 1;
          if (status === INTERNAL || status === 200) tell(`${status} to ${name}`);
        }
      }
      return count;
    });
  },
};

export const A4: Experiment = {
  id: 'A4',
  title: 'slow headers, slow bodies, idle connections',
  check,
  async run(context) {
    const { system, by, load } = context;
    const { hostname, port } = new URL(system.runtime.edge);
    const beginnings = [`POST ${PLACE} HTTP/1.1\r\nHost: a\r\nx-slow: `, `POST ${PLACE} HTTP/1.1\r\nHost: a\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{`, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0', ''];
    return underAttack(context, 'slow connections', async (tell) => {
      const open = new Set<Socket>();
      const many = by(IDLE);
      const from = Date.now();
      for (let i = 0; i < many; i += 1) {
        const socket = connect(Number(port), hostname);
        open.add(socket);
        socket.on('error', () => {}).on('close', () => open.delete(socket)).on('data', () => {});
        socket.write(beginnings[i % beginnings.length] ?? '');
        if (i % 50 === 0) await pause(20);
      }
      const drip = setInterval(() => {
        for (const socket of open) if (!socket.destroyed) socket.write('a');
      }, 1_000);
      await pause(by(IDLE_MS));
      const during = load.goodput(from + 1_000, Date.now());
      const calm = load.goodput(from - 3_000, from);
      if (during < LEAST_GOODPUT * calm) tell(`${during.toFixed(1)} orders per second instead of ${calm.toFixed(1)} meanwhile`);
      clearInterval(drip);
      await until('the server lets go of all slow connections', RELEASE_LIMIT_MS, () => open.size === 0).catch((error: unknown) => {
        tell(`${open.size} of ${many} are still open: ${(error as Error).message}`);
        for (const socket of open) socket.destroy();
      });
      return many;
    });
  },
};
