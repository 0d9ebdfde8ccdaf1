// Connect's unary calls in binary over HTTP/2: how back ends call, and how our own services call each other. There the protocol is a POST
// and its answer, and they are served right here; connect-es takes every other shape. Through it an empty call costs twice as much.
import type { IncomingHttpHeaders } from 'node:http';
import { type ServerHttp2Stream, constants } from 'node:http2';
import { type DescMethodUnary, type Message, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type MethodImpl } from '@connectrpc/connect';
import { codeToHttpStatus, contentTypeUnaryJson, contentTypeUnaryProto, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import type { Access } from './access.ts';
import { setCaller } from './auth.ts';
import { CallContext } from './call-context.ts';
import { type Calls, ENDED } from './calls.ts';
import { refuse } from './errors.ts';
import { InFlight } from './in-flight.ts';
import { hasHost, headersOf, hostOf } from './node-request.ts';
import { validate } from './validation.ts';

export type UnaryOptions = {
  calls: Calls;
  access: Access;
  maxBytes: number;
  /** How long a call may take; a caller may ask for less. */
  limitMs: number;
  /** Breaks off what is still going on, with its reason. */
  aborting: AbortSignal;
};

/** A call, however it came. */
export type Asked = {
  requestId: string | undefined;
  authorization: string | undefined;
  /** Milliseconds that the caller gives it, in digits. */
  timeout: string | undefined;
  url: string;
  headers: () => Headers;
  /** Undefined when the caller broke it off. */
  body: () => Promise<Uint8Array | undefined>;
  /** Not called after the caller has gone. */
  answer: (status: number, contentType: string, body: Uint8Array, more: Iterable<readonly [name: string, value: string]> | undefined) => void;
};

type Unary = { method: DescMethodUnary; implementation: MethodImpl<DescMethodUnary> };

/** What a caller gets to end a body that nobody reads; most have sent it all before they hear the answer. */
const REST_OF_BODY_MS = 1_000;

export function createUnary({ calls, access, maxBytes, limitMs, aborting }: UnaryOptions) {
  const served = new Map<string, Unary>();
  const flying = new InFlight<(reason: Error) => void>();
  aborting.addEventListener('abort', () => {
    for (const fail of flying) fail(aborting.reason as Error);
  }, { once: true });

  return {
    /** The router, remembering what is registered with it. */
    remembering(router: ConnectRouter): ConnectRouter {
      const remembers: ConnectRouter = {
        handlers: router.handlers,
        rpc: (...args) => (router.rpc(...args), remembers),
        service(service, implementation, options) {
          router.service(service, implementation, options);
          for (const method of service.methods) {
            const own = (implementation as Record<string, MethodImpl<DescMethodUnary> | undefined>)[method.localName];
            if (own && method.methodKind === 'unary') served.set(`/${service.typeName}/${method.name}`, { method: method as DescMethodUnary, implementation: own.bind(implementation) });
          }
          return remembers;
        },
      };
      return remembers;
    },

    /** Serves the call if it has the usual shape; false leaves it to connect-es, which also knows how to refuse a wrong one. */
    serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
      const unary = served.get(headers[':path'] as string);
      if (unary === undefined || headers[':method'] !== 'POST' || !isUsualCall(headers) || !hasHost(headers)) return false;
      serveStream(unary, stream, headers);
      return true;
    },

    /** Carries out a call that came in any other way. Answers how to say that its caller has gone; undefined when there is no such path. */
    carryOut: (path: string, asked: Asked): (() => void) | undefined => {
      const unary = served.get(path);
      return unary && carryOut(unary, asked);
    },
  };

  function serveStream(unary: Unary, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const gone = carryOut(unary, {
      requestId: headers['x-request-id'] as string | undefined,
      authorization: headers.authorization,
      timeout: headers['connect-timeout-ms'] as string | undefined,
      url: `http://${hostOf(headers)}${headers[':path'] as string}`,
      headers: () => headersOf({ headers }),
      body: () => bodyOf(stream, maxBytes),
      answer: (...what) => answer(stream, ...what),
    });
    stream.once('close', gone);
  }

  function carryOut({ method, implementation }: Unary, asked: Asked): () => void {
    const call = calls.begin(method, asked.requestId);
    const context = new CallContext(method, asked, Math.min(limitMs, asked.timeout === undefined ? Infinity : Number(asked.timeout)));
    const end = (reason: Error) => {
      clearTimeout(timer);
      land();
      context.end(reason);
    };
    const fail = (failure: unknown) => {
      if (context.isOver) return;
      const error = calls.settle(call, failure ?? new Error('something threw undefined')) ?? new ConnectError('internal error', Code.Internal);
      end(error);
      asked.answer(codeToHttpStatus(error.code), contentTypeUnaryJson, errorToJsonBytes(error, undefined), context.responseHeaders());
    };
    const carry = async (): Promise<void> => {
      // Before a byte of the body is read.
      const caller = await access(method, asked.authorization ?? null);
      if (caller) setCaller(context, caller);
      const body = await asked.body();
      if (body === undefined || context.isOver) return;
      call.entered = true;
      const message = decoded(method, body);
      validate(method.input, message);
      const output = create(method.output, await implementation(message, context));
      if (context.isOver) return;
      const bytes = toBinary(method.output, output);
      calls.settle(call);
      end(ENDED);
      asked.answer(200, contentTypeUnaryProto, bytes, context.responseHeaders());
    };
    const timer = setTimeout(() => fail(refuse('DEADLINE_EXCEEDED', 'the deadline passed; the outcome is unknown')), context.limitMs);
    const land = flying.add(fail);
    carry().catch(fail);
    return () => {
      if (context.isOver) return;
      const gone = new ConnectError('the caller has gone away', Code.Canceled);
      calls.settle(call, gone);
      end(gone);
    };
  }
}

/** Whether a POST is a unary call of Connect's binary protocol, of the shape that nearly all have: as it is served here, and in bundles. */
export function isUsualCall(headers: IncomingHttpHeaders): boolean {
  const timeout = headers['connect-timeout-ms'];
  return headers['content-type'] === contentTypeUnaryProto && headers['content-encoding'] === undefined && headers.expect === undefined
    && (headers['connect-protocol-version'] ?? '1') === '1' && (timeout === undefined || (typeof timeout === 'string' && /^[1-9]\d{0,8}$/.test(timeout)));
}

/** Undefined when the caller broke it off: in HTTP/2 that looks like an end, and half a message may well decode as another one. */
async function bodyOf(stream: ServerHttp2Stream, maxBytes: number): Promise<Buffer | undefined> {
  // An empty message may come with the headers, and its end be over before anybody listens.
  if (stream.endAfterHeaders || stream.readableEnded) return stream.aborted ? undefined : Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) reject(refuse('MESSAGE_TOO_LARGE', `the message is larger than ${maxBytes} bytes`));
      else chunks.push(chunk);
    });
    stream.once('end', () => resolve(stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR ? undefined : chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    stream.once('close', () => resolve(undefined));
  });
}

function decoded(method: DescMethodUnary, body: Uint8Array): Message {
  try {
    return fromBinary(method.input, body);
  } catch (cause) {
    throw Object.assign(refuse('MALFORMED_MESSAGE', 'the message could not be decoded'), { cause });
  }
}

function answer(stream: ServerHttp2Stream, status: number, type: string, body: Uint8Array, more: Iterable<readonly [name: string, value: string]> | undefined): void {
  if (stream.destroyed || stream.headersSent) return;
  // Not with `response`: it says the end of the answer in a frame of its own, which both sides write and read for themselves.
  stream.respond({ ...Object.fromEntries(more ?? []), ':status': status, 'content-type': type, 'content-length': body.length });
  stream.end(body);
  if (stream.readableEnded) return;
  // Not at once: a reset that overtakes the answer would be all that the caller sees.
  stream.resume();
  const late = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), REST_OF_BODY_MS);
  stream.once('close', () => clearTimeout(late));
}
