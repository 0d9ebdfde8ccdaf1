// Plain HTTP beside the RPCs: health checks, metrics, providers' webhooks.
import type { ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import type { ConnectError } from '@connectrpc/connect';
import { codeToHttpStatus, codeToString } from '@connectrpc/connect/protocol-connect';
import { errorInfo, refuse, retryAfter, toConnectError } from '../api/errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { ObserveRequest } from '../telemetry/metrics.ts';
import type { NodeRequest, NodeResponse } from './mux.ts';
import { chunksOf, headersOf } from './node-request.ts';
import type { Asked } from './unary.ts';

export type HttpRequest = { method: string; /** Path and query, as sent. */ url: string; headers: Headers; body: Uint8Array };
export type HttpResponse = { status: number; body?: string; headers?: Record<string, string> };
export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** A webhook is a few kilobytes. */
const MAX_BODY_BYTES = 1_048_576;

/** What nginx calls a request whose caller left before the answer. */
const CALLER_GONE = 499;

const TEXT = 'text/plain; charset=utf-8';
const NO_SNIFFING = { 'x-content-type-options': 'nosniff' };

/** Routes are exact paths, or prefixes that end in "/*". `observe` is told what became of each request. */
export function createHttpRoutes(routes: Record<string, HttpHandler>, { timeoutMs, log, observe }: { timeoutMs: number; log: Log; observe: ObserveRequest }) {
  const exact = new Map(Object.entries(routes).map(([path, handle]): [string, Route] => [path, { handle, timeoutMs, log, observe: (status) => observe(path, status) }]));
  const prefixes = [...exact].filter(([path]) => path.endsWith('/*')).map(([path, route]) => ({ prefix: path.slice(0, -1), route }));
  const routeOf = (path: string) => exact.get(path) ?? prefixes.find(({ prefix }) => path.startsWith(prefix))?.route;
  return {
    /** False when there is no such path. */
    serve(path: string, request: NodeRequest, response: NodeResponse): boolean {
      const route = routeOf(path);
      if (route) void serve(route, request, response);
      return route !== undefined;
    },

    /** Carries out a POST that came in any other way. Answers how to say that its caller has gone, which changes nothing; undefined when there is no such path. */
    carryOut(path: string, asked: Asked): (() => void) | undefined {
      const route = routeOf(path);
      if (route) void carryOut(route, path, asked);
      return route && (() => {});
    },
  };
}

type Route = { handle: HttpHandler; timeoutMs: number; log: Log; observe: (status: number) => void };

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

async function serve({ handle, timeoutMs, log, observe }: Route, request: NodeRequest, response: NodeResponse): Promise<void> {
  const timer = setTimeout(() => {
    writeError(response, toConnectError(refuse('DEADLINE_EXCEEDED', 'this took too long')));
    response.once('finish', () => cut(response));
  }, timeoutMs);
  try {
    const body = await readBody(request);
    const answer = await handle({ method: request.method ?? '', url: request.url ?? '', headers: headersOf(request), body });
    writeText(response, answer.status, answer.body ?? '', answer.headers);
  } catch (error) {
    if (!request.errored) writeError(response, toConnectError(error, log));
  } finally {
    clearTimeout(timer);
    observe(response.headersSent ? response.statusCode : CALLER_GONE);
  }
}

async function carryOut({ handle, timeoutMs, log, observe }: Route, url: string, { headers, body, answer }: Asked): Promise<void> {
  let said: number | undefined;
  const say = (status: number, type: string, text: string, more: Record<string, string>) => {
    said ??= status;
    answer({ status, headers: ['content-type', type, ...Object.entries(more).flat()], body: Buffer.from(text), trailers: [] });
  };
  const fail = (error: ConnectError) => {
    const { status, body: text, headers: more } = errorResponse(error);
    say(status, 'application/json', text, more);
  };
  const timer = setTimeout(() => fail(toConnectError(refuse('DEADLINE_EXCEEDED', 'this took too long'))), timeoutMs);
  try {
    const { status, body: text = '', headers: more = {} } = await handle({ method: 'POST', url, headers: headersOf({ headers }), body: (await body()) ?? new Uint8Array() });
    say(status, TEXT, text, { ...NO_SNIFFING, ...more });
  } catch (error) {
    fail(toConnectError(error, log));
  } finally {
    clearTimeout(timer);
    if (said !== undefined) observe(said);
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
