// Callers of all manners, good and bad.
import http2 from 'node:http2';
import net from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Stub } from './stub-server.ts';

export const GET_PRODUCT = '/millrace.product.v1.ProductService/GetProduct';

/** A Connect call as curl would make it. Rejects, like a client, with code and reason. */
export async function rest(stub: Stub, body: string | Buffer = '{"sku":"MUG"}', headers: Record<string, string> = stub.authorized().headers): Promise<{ status: number; text: string }> {
  const answer = await fetch(stub.url + GET_PRODUCT, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: body as string });
  const text = await answer.text();
  if (answer.ok || answer.status === 415) return { status: answer.status, text };
  const json = JSON.parse(text) as { code: string; message: string; details?: { debug?: { reason: string } }[] };
  const code = Object.entries(Code).find(([name]) => name.replaceAll(/(?<!^)[A-Z]/g, '_$&').toLowerCase() === json.code)?.[1] as Code;
  throw Object.assign(new ConnectError(json.message, code), { reason: json.details?.[0]?.debug?.reason });
}

/** The error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<ConnectError & { reason?: string }> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

/** A message as gRPC frames it. */
export function envelope(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** HTTP/2 without a client library's manners. */
export function openSession(url: string) {
  const session = http2.connect(url);
  session.on('error', () => {});
  return {
    session,
    request: async (headers: http2.OutgoingHttpHeaders, body?: Buffer): Promise<{ status: number; text: string }> =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers);
        let status = 0;
        let text = '';
        stream.on('response', (answer) => {
          status = Number(answer[':status']);
          text += JSON.stringify(answer);
        });
        stream.on('trailers', (trailers) => (text += JSON.stringify(trailers)));
        stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
        stream.on('error', reject).on('close', () => resolve({ status, text }));
        stream.end(body);
      }),
    [Symbol.asyncDispose]: async () => session.destroy(),
  };
}

/** Sends bytes as they are; answers what came back until the other side closed or `until` matched. */
export async function raw(port: number, bytes: string | Buffer, until?: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.setTimeout(10_000, () => reject(new Error(`no end after: ${answer}`)));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (until?.test(answer)) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

/** Waits for a condition instead of for a time. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const until = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > until) throw new Error(`never happened: ${what}`);
    await new Promise(setImmediate);
  }
}

/** Waits until nobody listens on the port any more. */
export async function refused(port: number): Promise<void> {
  const connects = async (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  const until = performance.now() + 10_000;
  while (await connects()) if (performance.now() > until) throw new Error(`port ${port} still takes connections`);
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
