// Plain HTTP beside the RPCs: health checks, metrics, providers' webhooks.
import type { ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import type { ConnectError } from '@connectrpc/connect';
import { codeToHttpStatus, codeToString } from '@connectrpc/connect/protocol-connect';
import { errorInfo, refuse, retryAfter, toConnectError } from './errors.ts';
import type { Log } from './log.ts';
import type { NodeRequest, NodeResponse } from './mux.ts';
import { chunksOf, headersOf } from './node-request.ts';
import type { Asked } from './unary.ts';

export type HttpRequest = { method: string; /** Path and query, as sent. */ url: string; headers: Headers; body: Uint8Array };
export type HttpResponse = { status: number; body?: string; headers?: Record<string, string> };
export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** A webhook is a few kilobytes. */
const MAX_BODY_BYTES = 1_048_576;

const TEXT = 'text/plain; charset=utf-8';
const NO_SNIFFING = { 'x-content-type-options': 'nosniff' };

/** Routes are exact paths, or prefixes that end in "/*". */
export function createHttpRoutes(routes: Record<string, HttpHandler>, timeoutMs: number, log: Log) {
  const exact = new Map(Object.entries(routes));
  const prefixes = [...exact.entries()].filter(([path]) => path.endsWith('/*')).map(([path, handler]) => ({ prefix: path.slice(0, -1), handler }));
  const handlerOf = (path: string) => exact.get(path) ?? prefixes.find(({ prefix }) => path.startsWith(prefix))?.handler;
  return {
    /** False when there is no such path. */
    serve(path: string, request: NodeRequest, response: NodeResponse): boolean {
      const handler = handlerOf(path);
      if (handler) void serve(handler, request, response, timeoutMs, log);
      return handler !== undefined;
    },

    /** Carries out a POST that came in any other way. Answers how to say that its caller has gone, which changes nothing; undefined when there is no such path. */
    carryOut(path: string, asked: Asked): (() => void) | undefined {
      const handler = handlerOf(path);
      if (handler) void carryOut(handler, path, asked, timeoutMs, log);
      return handler && (() => {});
    },
  };
}

export function writeText(response: NodeResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  if (response.headersSent || response.destroyed) return;
  (response as ServerResponse).writeHead(status, { 'content-type': TEXT, 'content-length': String(Buffer.byteLength(body)), ...NO_SNIFFING, ...headers });
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

async function carryOut(handler: HttpHandler, url: string, { headers, body, answer }: Asked, timeoutMs: number, log: Log): Promise<void> {
  const fail = (error: ConnectError) => {
    const { status, body: text, headers: more } = errorResponse(error);
    answer(status, 'application/json', Buffer.from(text), Object.entries(more));
  };
  const timer = setTimeout(() => fail(toConnectError(refuse('DEADLINE_EXCEEDED', 'this took too long'))), timeoutMs);
  try {
    const { status, body: text = '', headers: more = {} } = await handler({ method: 'POST', url, headers: headers(), body: (await body()) ?? new Uint8Array() });
    answer(status, TEXT, Buffer.from(text), Object.entries({ ...NO_SNIFFING, ...more }));
  } catch (error) {
    fail(toConnectError(error, log));
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
  const { status, body, headers } = errorResponse(error);
  writeText(response, status, body, { 'content-type': 'application/json', ...headers });
}

function errorResponse(error: ConnectError): Required<HttpResponse> {
  const wait = retryAfter(error);
  return {
    status: codeToHttpStatus(error.code),
    body: JSON.stringify({ code: codeToString(error.code), message: error.rawMessage, reason: errorInfo(error)?.reason }),
    headers: wait === undefined ? {} : { 'retry-after': String(Math.ceil(wait / 1_000)) },
  };
}
