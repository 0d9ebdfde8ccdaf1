// Plain HTTP beside the RPCs: health checks, metrics, providers' webhooks.
import type { ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import type { ConnectError } from '@connectrpc/connect';
import { codeToHttpStatus, codeToString } from '@connectrpc/connect/protocol-connect';
import { errorInfo, refuse, retryAfter, toConnectError } from './errors.ts';
import type { Log } from './log.ts';
import type { NodeRequest, NodeResponse } from './mux.ts';
import { chunksOf, headersOf } from './node-request.ts';

export type HttpRequest = { method: string; /** Path and query, as sent. */ url: string; headers: Headers; body: Uint8Array };
export type HttpResponse = { status: number; body?: string; headers?: Record<string, string> };
export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** A webhook is a few kilobytes. */
const MAX_BODY_BYTES = 1_048_576;

/** Routes are exact paths, or prefixes that end in "/*". */
export function createHttpRoutes(routes: Record<string, HttpHandler>, timeoutMs: number, log: Log): (path: string, request: NodeRequest, response: NodeResponse) => boolean {
  const exact = new Map(Object.entries(routes));
  const prefixes = [...exact.entries()].filter(([path]) => path.endsWith('/*')).map(([path, handler]) => ({ prefix: path.slice(0, -1), handler }));
  return (path, request, response) => {
    const handler = exact.get(path) ?? prefixes.find(({ prefix }) => path.startsWith(prefix))?.handler;
    if (!handler) return false;
    void serve(handler, request, response, timeoutMs, log);
    return true;
  };
}

export function writeText(response: NodeResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  if (response.headersSent || response.destroyed) return;
  (response as ServerResponse).writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(Buffer.byteLength(body)), 'x-content-type-options': 'nosniff', ...headers });
  response.end(body);
}

/** Ends a request whose other side doesn't. */
export function cut(response: NodeResponse): void {
  if ('stream' in response) response.stream.close(constants.NGHTTP2_CANCEL);
  else response.destroy();
}

async function serve(handler: HttpHandler, request: NodeRequest, response: NodeResponse, timeoutMs: number, log: Log): Promise<void> {
  const timer = setTimeout(() => {
    writeError(response, toConnectError(refuse('DEADLINE_EXCEEDED', 'this took too long')));
    response.once('finish', () => cut(response));
  }, timeoutMs);
  try {
    const body = await readBody(request);
    const answer = await handler({ method: request.method ?? '', url: request.url ?? '', headers: headersOf(request), body });
    writeText(response, answer.status, answer.body ?? '', answer.headers);
  } catch (error) {
    if (!request.errored) writeError(response, toConnectError(error, log));
  } finally {
    clearTimeout(timer);
  }
}

async function readBody(request: NodeRequest): Promise<Uint8Array> {
  const tooLarge = () => refuse('MESSAGE_TOO_LARGE', `the body is larger than ${MAX_BODY_BYTES} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(request)) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function writeError(response: NodeResponse, error: ConnectError): void {
  const wait = retryAfter(error);
  const headers = { 'content-type': 'application/json', ...(wait === undefined ? {} : { 'retry-after': String(Math.ceil(wait / 1_000)) }) };
  writeText(response, codeToHttpStatus(error.code), JSON.stringify({ code: codeToString(error.code), message: error.rawMessage, reason: errorInfo(error)?.reason }), headers);
}
