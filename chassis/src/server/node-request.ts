// Node's requests as connect-es wants them. Its own conversion throws on a bad Host, makes two costly exceptions for each call
// that ends well, and drops the connection instead of answering when a body over HTTP/1.1 is too large.
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { Code, ConnectError, createContextValues } from '@connectrpc/connect';
import type { UniversalServerRequest } from '@connectrpc/connect/protocol';
import type { NodeRequest, NodeResponse } from './mux.ts';

/** Assumes a host that can be part of a URL: see `hasHost`. */
export function universalRequest(request: NodeRequest, response: NodeResponse): UniversalServerRequest {
  return {
    httpVersion: request.httpVersion,
    method: request.method ?? '',
    url: new URL(request.url ?? '', `http://${hostOf(request.headers)}`).href,
    header: headersOf(request),
    body: wholeBody(request),
    signal: goneSignal(response),
    contextValues: createContextValues(),
  };
}

/** Not destroyed when its reader stops early: the answer must still get out. */
export function chunksOf(request: NodeRequest): AsyncIterable<Buffer> {
  return (request as Readable).iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

export function hasHost(headers: IncomingHttpHeaders): boolean {
  const host = hostOf(headers);
  return host !== undefined && /^[^\s/?#@\\]+$/.test(host) && URL.canParse(`http://${host}/`);
}

export function hostOf(headers: IncomingHttpHeaders): string | undefined {
  return (headers[':authority'] as string | undefined) ?? headers.host;
}

export function headersOf(message: { headers: IncomingHttpHeaders }): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headers)) {
    if (name.startsWith(':') || value === undefined) continue;
    if (typeof value === 'string') headers.append(name, value);
    else for (const one of value) headers.append(name, one);
  }
  return headers;
}

// In HTTP/2 a request that its caller broke off ends like a whole one, and half a message may well decode as another message.
async function* wholeBody(request: NodeRequest): AsyncGenerator<Uint8Array> {
  try {
    yield* chunksOf(request);
  } catch (cause) {
    throw new ConnectError('the caller has gone away', Code.Canceled, undefined, undefined, cause);
  }
  const broken = 'stream' in request ? request.stream.aborted || request.stream.rstCode !== 0 : !request.complete;
  if (broken) throw new ConnectError('the caller has gone away', Code.Canceled);
}

function goneSignal(response: NodeResponse): AbortSignal {
  const gone = new AbortController();
  let finished = false;
  response.once('finish', () => (finished = true));
  response.once('close', () => {
    // HTTP/2 says "finish" of an answer that was broken off, too.
    if (!finished || ('stream' in response && response.stream.aborted)) gone.abort(new ConnectError('the caller has gone away', Code.Canceled));
  });
  return gone.signal;
}
