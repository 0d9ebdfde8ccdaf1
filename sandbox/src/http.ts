// The HTTP server: reads a whole, bounded request, asks the handler, writes the reply. Nothing a client sends may end the process.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from './log.ts';

export const MAX_BODY = 1 << 20; // bytes
const RECEIVE_TIMEOUT_MS = 30_000; // a whole request must arrive within this time
const KEEP_ALIVE_MS = 65_000; // longer than the clients' own idle time, so that they close first
const MAX_CONNECTIONS = 4096;
const STOP_GRACE_MS = 3_000;

export interface Incoming {
  method: string;
  path: string;
  query: string;
  headers: Record<string, string | undefined>;
  body: string;
  /** The body was larger than MAX_BODY and was not read. */
  oversize: boolean;
}

export interface Reply {
  status: number;
  headers?: Record<string, string>;
  body?: string | AsyncIterable<string>;
  /** The work is done but the answer gets lost: close the connection without a word. */
  lost?: true;
}

export type Handler = (incoming: Incoming) => Reply | Promise<Reply>;

export interface HttpServer {
  url: string;
  port: number;
  stop(): Promise<void>;
}

export async function listen(host: string, port: number, handler: Handler, log: Log): Promise<HttpServer> {
  const server = createServer({ requestTimeout: RECEIVE_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, (req, res) => {
    serve(req, res, handler).catch((error: unknown) => {
      log.error('request failed', { error: String(error) });
      if (!res.headersSent) send(res, { status: 500, body: '{"error":"the sandbox failed; see its log"}\n' });
      else res.destroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new Error(`port ${port} on ${host} is taken: set PORT to a free one`) : error);
    });
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  const name = host.includes(':') ? `[${host}]` : host === '0.0.0.0' ? '127.0.0.1' : host;
  return { url: `http://${name}:${bound.port}`, port: bound.port, stop: () => stop(server) };
}

async function serve(req: IncomingMessage, res: ServerResponse, handler: Handler): Promise<void> {
  const body = await readBody(req);
  if (body === undefined) return; // the client left in mid-request
  const target = req.url ?? '/';
  const mark = target.indexOf('?');
  const reply = await handler({
    method: req.method ?? 'GET',
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? '' : target.slice(mark + 1),
    headers: req.headers as Record<string, string | undefined>,
    body: body === TOO_LARGE ? '' : body,
    oversize: body === TOO_LARGE,
  });
  if (reply.lost) {
    res.destroy();
    return;
  }
  if (body === TOO_LARGE) {
    res.once('finish', () => req.socket.destroySoon()); // the rest of the body is not worth reading
    reply.headers = { ...reply.headers, connection: 'close' };
  }
  if (typeof reply.body === 'object') await stream(res, reply, reply.body);
  else send(res, reply);
}

const TOO_LARGE = Symbol('too large');

function readBody(req: IncomingMessage): Promise<string | typeof TOO_LARGE | undefined> {
  if (Number(req.headers['content-length'] ?? 0) > MAX_BODY) return Promise.resolve(TOO_LARGE);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    req.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MAX_BODY) {
        req.pause();
        resolve(TOO_LARGE);
      } else chunks.push(chunk);
    });
    req.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer).toString() : Buffer.concat(chunks).toString()));
    req.on('error', () => resolve(undefined));
    req.on('close', () => resolve(undefined));
  });
}

function send(res: ServerResponse, reply: Reply): void {
  const body = (reply.body as string | undefined) ?? '';
  res.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers, 'content-length': Buffer.byteLength(body) });
  res.end(res.req.method === 'HEAD' ? undefined : body);
}

async function stream(res: ServerResponse, reply: Reply, body: AsyncIterable<string>): Promise<void> {
  res.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
  for await (const part of body) {
    if (res.destroyed) return;
    if (!res.write(part)) await drained(res);
  }
  res.end();
}

/** When the client has taken what was written, or has left. */
function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.on('drain', done).on('close', done);
  });
}

async function stop(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
  await closed;
  clearTimeout(timer);
}
