// Calls that travel together: the edge sends those of one moment in one request, and each is answered as soon as it is done.
// An HTTP/2 stream of its own costs a call about a tenth of a millisecond at either end.
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { create, fromBinary } from '@bufbuild/protobuf';
import { sizeDelimitedEncode } from '@bufbuild/protobuf/wire';
import { AnswerBundleSchema, type BundledAnswer, BundledAnswerSchema, type BundledCall, type CallBundle, CallBundleSchema } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import type { Verifier } from './auth.ts';
import { cut, writeText } from './http-routes.ts';
import type { NodeRequest, NodeResponse } from './mux.ts';
import { type Asked, bodyOf, isUsualCall } from './unary.ts';

export const BUNDLE_PATH = '/millrace.ops.v1.Bundle';
export const BUNDLE_TYPE = 'application/x-protobuf';
/** Calls of one bundle: what one turn of the event loop brings from a crowd. */
export const MAX_BUNDLED = 256;
/** Larger messages are rare, and travel alone. */
export const MAX_BUNDLED_BYTES = 16_384;
/** Of all calls of a bundle with their headers, which are limited to 16 KiB a call as well. */
const MAX_BUNDLE_BYTES = MAX_BUNDLED * 2 * MAX_BUNDLED_BYTES;

/** A bundle of this size takes longer only when somebody holds it back. */
const BODY_MS = 10_000;

export type BundleOptions = {
  /** Answers how to say that the caller has gone; undefined when nothing serves the path. */
  carryOut: (path: string, asked: Asked) => (() => void) | undefined;
  verify: Verifier;
};

/** Serves a bundle; false when the request is none. */
export function serveBundle(options: BundleOptions, path: string, request: NodeRequest, response: NodeResponse): boolean {
  if (path !== BUNDLE_PATH || !('stream' in request) || request.method !== 'POST') return false;
  void serve(options, request, response as Http2ServerResponse);
  return true;
}

async function serve({ carryOut, verify }: BundleOptions, request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
  const late = setTimeout(() => cut(response), BODY_MS);
  request.stream.once('close', () => clearTimeout(late));
  // Each call has its own token, which is checked as well; this one is before a byte of the body is read.
  const known = await verify(request.headers.authorization ?? null).then(() => true, () => false);
  if (!known) {
    request.stream.resume();
    return writeText(response, 401, 'a bundle needs the token of one of its calls\n');
  }
  const bundle = await read(request);
  clearTimeout(late);
  if (bundle === undefined) return writeText(response, 400, 'this is no bundle of calls\n');
  response.writeHead(200, { 'content-type': BUNDLE_TYPE });
  let left = bundle.calls.length;
  const ready: BundledAnswer[] = [];
  const flush = () => {
    response.write(sizeDelimitedEncode(AnswerBundleSchema, create(AnswerBundleSchema, { answers: ready.splice(0) })));
    if (left === 0) response.end();
  };
  const answer = (call: number, status: number, headers: string[], body: Uint8Array) => {
    left -= 1;
    // The end of the event-loop turn, so that all answers of this turn travel together.
    if (ready.push(create(BundledAnswerSchema, { call, status, headers, body })) === 1) setImmediate(flush);
  };
  const gone = bundle.calls.map((call, place) => {
    const headers = recordOf(call.headers);
    const tell = isUsualCall(headers) ? carryOut(call.path, asked(request, call, headers, (...what) => answer(place, ...what))) : undefined;
    // The edge knows the contracts that this service was built with, or newer ones.
    if (tell === undefined) answer(place, 404, [], new Uint8Array());
    return tell;
  });
  response.stream.once('close', () => gone.forEach((tell) => tell?.()));
}

async function read(request: Http2ServerRequest): Promise<CallBundle | undefined> {
  try {
    const body = await bodyOf(request.stream, MAX_BUNDLE_BYTES);
    const bundle = body && fromBinary(CallBundleSchema, body);
    return bundle && bundle.calls.length > 0 && bundle.calls.length <= MAX_BUNDLED ? bundle : undefined;
  } catch {
    return undefined;
  }
}

type Named = Record<string, string | undefined>;

function asked({ authority }: Http2ServerRequest, { path, body }: BundledCall, headers: Named, answer: (status: number, headers: string[], body: Uint8Array) => void): Asked {
  return {
    requestId: headers['x-request-id'],
    authorization: headers['authorization'],
    timeout: headers['connect-timeout-ms'],
    url: `http://${authority}${path}`,
    headers: () => new Headers(Object.entries(headers) as [string, string][]),
    body: async () => body,
    answer: (status, contentType, bytes, more) => answer(status, ['content-type', contentType, ...[...(more ?? [])].flat()], bytes),
  };
}

function recordOf(pairs: string[]): Named {
  const record = Object.create(null) as Named;
  for (let i = 0; i < pairs.length; i += 2) record[pairs[i] ?? ''] = pairs[i + 1] ?? '';
  return record;
}
