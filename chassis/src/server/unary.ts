// Unary calls over HTTP/2 in the shape that nearly all have, of back ends, of browsers behind the edge, and between our own services: each is
// a POST and its answer, and is served right here. connect-es takes every other shape; through it an empty call costs two to four times as much.
import type { IncomingHttpHeaders } from 'node:http';
import { type ServerHttp2Stream, constants } from 'node:http2';
import { type DescMethodUnary, type Message, create } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type MethodImpl } from '@connectrpc/connect';
import type { Access } from '../api/access.ts';
import { setCaller } from '../api/auth.ts';
import { refuse } from '../api/errors.ts';
import { validate } from '../api/validation.ts';
import { InFlight } from '../flow/in-flight.ts';
import { CallContext } from './call-context.ts';
import { type Calls, ENDED } from './calls.ts';
import { recordOf } from './channel.ts';
import { hasHost, hostOf } from './node-request.ts';
import { respond } from './node-response.ts';
import { type Answer, type UnaryProtocol, unaryProtocolOf } from './unary-protocols.ts';

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
  url: string;
  headers: IncomingHttpHeaders;
  /** Undefined when the caller broke it off. */
  body: () => Promise<Uint8Array | undefined>;
  /** Not called after the caller has gone. */
  answer: (answer: Answer) => void;
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
      const protocol = unary && headers[':method'] === 'POST' && hasHost(headers) ? unaryProtocolOf(headers) : undefined;
      if (unary === undefined || protocol === undefined) return false;
      serveStream(unary, protocol, stream, headers);
      return true;
    },

    /** Carries out a call that came in any other way. Answers how to say that its caller has gone; undefined when it is not served here. */
    carryOut: (path: string, asked: Asked): (() => void) | undefined => {
      const unary = served.get(path);
      const protocol = unary && unaryProtocolOf(asked.headers);
      return unary && protocol && carryOut(unary, protocol, asked);
    },
  };

  function serveStream(unary: Unary, protocol: UnaryProtocol, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const gone = carryOut(unary, protocol, {
      url: `http://${hostOf(headers)}${headers[':path'] as string}`,
      headers,
      body: () => bodyOf(stream, protocol.wrapping + maxBytes),
      answer: (said) => answer(stream, said),
    });
    stream.once('close', gone);
  }

  function carryOut({ method, implementation }: Unary, protocol: UnaryProtocol, asked: Asked): () => void {
    const call = calls.begin(method, asked.headers['x-request-id'] as string | undefined);
    const context = new CallContext(method, protocol.name, asked, Math.min(limitMs, protocol.timeoutOf(asked.headers)));
    const end = (reason: Error) => {
      clearTimeout(timer);
      land();
      context.end(reason);
    };
    const fail = (failure: unknown) => {
      if (context.isOver) return;
      const error = calls.settle(call, failure ?? new Error('something threw undefined')) ?? new ConnectError('internal error', Code.Internal);
      end(error);
      asked.answer(protocol.refusal(error, context.metadata()));
    };
    const carry = async (): Promise<void> => {
      // Before a byte of the body is read.
      const caller = await access(method, asked.headers.authorization ?? null);
      if (caller) setCaller(context, caller);
      const body = await asked.body();
      if (body === undefined || context.isOver) return;
      call.entered = true;
      const message = decoded(protocol, method, body);
      validate(method.input, message);
      const output = create(method.output, await implementation(message, context));
      let said = protocol.answer(protocol.write(method.output, output), context.metadata());
      if (protocol.pack) said = await protocol.pack(said, asked.headers);
      if (context.isOver) return;
      calls.settle(call);
      end(ENDED);
      asked.answer(said);
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

function decoded(protocol: UnaryProtocol, method: DescMethodUnary, body: Uint8Array): Message {
  try {
    return protocol.read(method.input, body);
  } catch (cause) {
    throw Object.assign(refuse('MALFORMED_MESSAGE', 'the message could not be decoded'), { cause });
  }
}

function answer(stream: ServerHttp2Stream, { status, headers, body, trailers }: Answer): void {
  if (stream.destroyed || stream.headersSent) return;
  respond(stream, { ...recordOf(headers), ':status': status }, body, recordOf(trailers));
  if (stream.readableEnded) return;
  // Not at once: a reset that overtakes the answer would be all that the caller sees.
  stream.resume();
  const late = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), REST_OF_BODY_MS);
  stream.once('close', () => clearTimeout(late));
}
