// The protocols in which nearly all unary calls come: Connect's, binary or JSON, gRPC's and gRPC-Web's, in the shape that callers send them unless
// told otherwise. There a call is a POST and its answer, and what differs is how the message is wrapped and where the status stands.
// Source: the Connect, gRPC over HTTP/2 and gRPC-Web protocol specifications.
import type { IncomingHttpHeaders } from 'node:http';
import { type DescMessage, type MessageShape, fromBinary, fromJsonString, toBinary, toJsonString } from '@bufbuild/protobuf';
import type { ConnectError, HandlerContext } from '@connectrpc/connect';
import { compressionGzip } from '@connectrpc/connect-node';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { codeToHttpStatus, contentTypeUnaryJson, contentTypeUnaryProto, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import { contentTypeProto as contentTypeGrpc, grpcStatusOk, setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { contentTypeProto as contentTypeGrpcWeb, trailerFlag, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';
import { grpcTimeout } from '../api/deadline.ts';
import { refuse } from '../api/errors.ts';

/** The whole answer to a call. `headers` and `trailers`: names, in lower case, and values by turns. */
export type Answer = { status: number; headers: string[]; body: Uint8Array; /** What follows the body in gRPC; without a body all of it is one block. */ trailers: string[] };
/** What a handler has set of its own. */
export type Metadata = { headers: Headers | undefined; trailers: Headers | undefined };

export type UnaryProtocol = {
  name: HandlerContext['protocolName'];
  /** Bytes of a body that are not its message. */
  wrapping: number;
  /** The message of a body. Throws MALFORMED_MESSAGE. */
  read: <D extends DescMessage>(schema: D, body: Uint8Array) => MessageShape<D>;
  write: <D extends DescMessage>(schema: D, message: MessageShape<D>) => Uint8Array;
  /** Milliseconds that the caller gives the call: Infinity when it doesn't say, NaN when nobody understands it. */
  timeoutOf: (headers: IncomingHttpHeaders) => number;
  answer: (message: Uint8Array, metadata: Metadata) => Answer;
  /** Packs an answer for callers that want it so. Only of JSON: it comes from afar, and is mostly names. */
  pack?: (answer: Answer, headers: IncomingHttpHeaders) => Answer | Promise<Answer>;
  refusal: (error: ConnectError, metadata: Metadata) => Answer;
};

/** Of gRPC and gRPC-Web: flags, then the length of what follows. */
const PREFIX_BYTES = 5;
const NOTHING = new Uint8Array();
/** As connect-es has it: less is not worth the work. */
const MIN_PACKED_BYTES = 1_024;
const decoder = new TextDecoder();

const connect: UnaryProtocol = {
  name: 'connect',
  wrapping: 0,
  read: (schema, body) => fromBinary(schema, body),
  write: (schema, message) => toBinary(schema, message),
  timeoutOf: ({ 'connect-timeout-ms': sent }) => (sent === undefined ? Infinity : /^[1-9]\d{0,8}$/.test(String(sent)) ? Number(sent) : NaN),
  answer: (message, metadata) => connectAnswer(200, contentTypeUnaryProto, message, metadata),
  refusal: (error, metadata) => connectAnswer(codeToHttpStatus(error.code), contentTypeUnaryJson, errorToJsonBytes(error, undefined), metadata),
};

const connectJson: UnaryProtocol = {
  ...connect,
  read: (schema, body) => fromJsonString(schema, decoder.decode(body), { ignoreUnknownFields: true }),
  write: (schema, message) => Buffer.from(toJsonString(schema, message)),
  answer: (message, metadata) => connectAnswer(200, contentTypeUnaryJson, message, metadata),
  pack: (answer, headers) => answer.body.length < MIN_PACKED_BYTES || !acceptsGzip(headers) ? answer : packed(answer),
};

const grpc: UnaryProtocol = {
  name: 'grpc',
  wrapping: PREFIX_BYTES,
  read: (schema, body) => fromBinary(schema, unwrap(body)),
  write: connect.write,
  timeoutOf: (headers) => grpcTimeout(headers['grpc-timeout']),
  answer: (message, { headers, trailers }) => ({ status: 200, headers: ['content-type', contentTypeGrpc, ...pairs(headers)], body: encodeEnvelope(0, message), trailers: ['grpc-status', grpcStatusOk, ...pairs(trailers)] }),
  refusal: (error, { headers, trailers }) => ({ status: 200, headers: ['content-type', contentTypeGrpc, ...pairs(headers)], body: NOTHING, trailers: pairs(setTrailerStatus(new Headers(trailers), error)) }),
};

const grpcWeb: UnaryProtocol = {
  ...grpc,
  name: 'grpc-web',
  answer: (message, { headers, trailers }) => inBody(headers, encodeEnvelope(0, message), trailers === undefined ? OK : grpcWebTrailers(setTrailerStatus(new Headers(trailers), undefined))),
  refusal: (error, { headers, trailers }) => inBody(headers, NOTHING, grpcWebTrailers(setTrailerStatus(new Headers(trailers), error))),
};

const BY_CONTENT_TYPE = new Map([
  [contentTypeUnaryProto, connect],
  [contentTypeUnaryJson, connectJson], [`${contentTypeUnaryJson}; charset=utf-8`, connectJson],
  ['application/grpc', grpc], [contentTypeGrpc, grpc],
  ['application/grpc-web', grpcWeb], [contentTypeGrpcWeb, grpcWeb],
]);

/** The protocol of a POST with these headers; undefined when it is none of these, or packed, or anything else that few callers do. */
export function unaryProtocolOf(headers: IncomingHttpHeaders): UnaryProtocol | undefined {
  const protocol = BY_CONTENT_TYPE.get(headers['content-type'] ?? '');
  if (protocol === undefined || headers.expect !== undefined || !(protocol.timeoutOf(headers) > 0)) return undefined;
  const isConnect = protocol.name === 'connect';
  const encoding = headers[isConnect ? 'content-encoding' : 'grpc-encoding'];
  const version = isConnect ? headers['connect-protocol-version'] : undefined;
  return (encoding ?? 'identity') === 'identity' && (version ?? '1') === '1' ? protocol : undefined;
}

/** The last frame of an answer in gRPC-Web. */
export function grpcWebTrailers(trailers: Headers): Uint8Array {
  return encodeEnvelope(trailerFlag, trailerSerialize(trailers));
}

const OK = grpcWebTrailers(setTrailerStatus(new Headers(), undefined));

function inBody(headers: Headers | undefined, message: Uint8Array, trailers: Uint8Array): Answer {
  return { status: 200, headers: ['content-type', contentTypeGrpcWeb, ...pairs(headers)], body: Buffer.concat([message, trailers]), trailers: [] };
}

function unwrap(body: Uint8Array): Uint8Array {
  if (body.length < PREFIX_BYTES || body[0] !== 0 || new DataView(body.buffer, body.byteOffset).getUint32(1) !== body.length - PREFIX_BYTES) {
    throw refuse('MALFORMED_MESSAGE', 'a unary call has one message, unpacked, after five bytes with its length');
  }
  return body.subarray(PREFIX_BYTES);
}

function acceptsGzip(headers: IncomingHttpHeaders): boolean {
  return headers['accept-encoding']?.split(',').some((name) => name.trim() === compressionGzip.name) ?? false;
}

async function packed(answer: Answer): Promise<Answer> {
  return { ...answer, headers: [...answer.headers, 'content-encoding', compressionGzip.name], body: await compressionGzip.compress(answer.body) };
}

function connectAnswer(status: number, contentType: string, body: Uint8Array, { headers, trailers }: Metadata): Answer {
  const trailing = trailers === undefined ? [] : [...trailers].flatMap(([name, value]) => [`trailer-${name}`, value]);
  return { status, headers: ['content-type', contentType, ...pairs(headers), ...trailing], body, trailers: [] };
}

function pairs(headers: Headers | undefined): string[] {
  return headers === undefined ? [] : [...headers].flat();
}
