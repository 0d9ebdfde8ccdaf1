// What a caller speaks, seen from outside: method, path and content type, never the body.
import { contentTypeStreamRegExp, contentTypeUnaryRegExp } from '@connectrpc/connect/protocol-connect';
import { contentTypeRegExp as grpcRegExp } from '@connectrpc/connect/protocol-grpc';
import { contentTypeRegExp as grpcWebRegExp } from '@connectrpc/connect/protocol-grpc-web';

export type Protocol = 'connect' | 'connect-get' | 'connect-stream' | 'grpc' | 'grpc-web';
/** `contentType` as the caller sent it: errors are answered in the same. */
export type Speech = { protocol: Protocol; contentType: string };

// A content type that one of our callers could mean is a short one; the rest need not meet a regular expression.
const LONGEST_CONTENT_TYPE = 100;

/** Undefined when it is none of the three RPC protocols. */
export function speechOf(method: string, contentType: string | undefined, query: string): Speech | undefined {
  if (method === 'GET') return isConnectGet(query) ? { protocol: 'connect-get', contentType: 'application/json' } : undefined;
  if (method !== 'POST' || !contentType || contentType.length > LONGEST_CONTENT_TYPE) return undefined;
  if (contentTypeUnaryRegExp.test(contentType)) return { protocol: 'connect', contentType };
  if (grpcRegExp.test(contentType)) return { protocol: 'grpc', contentType };
  if (grpcWebRegExp.test(contentType)) return { protocol: 'grpc-web', contentType };
  if (contentTypeStreamRegExp.test(contentType)) return { protocol: 'connect-stream', contentType };
  return undefined;
}

/** The content types that RPC paths take, for the answer to others. */
export const ACCEPTED = 'application/json, application/proto, application/connect+json, application/connect+proto, application/grpc, application/grpc+proto, application/grpc+json, application/grpc-web, application/grpc-web+proto, application/grpc-web+json';

function isConnectGet(query: string): boolean {
  const parameters = new URLSearchParams(query);
  return parameters.has('encoding') && parameters.has('message');
}
