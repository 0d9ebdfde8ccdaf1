// No call is for ever: what callers may ask for is capped, and who waits for an answer gets one in time.
import type { IncomingHttpHeaders } from 'node:http';
import type { DescMethod } from '@bufbuild/protobuf';
import type { Interceptor, StreamResponse } from '@connectrpc/connect';
import { refuse } from './errors.ts';

export type Deadlines = typeof DEADLINES;

export const DEADLINES = {
  /** Nothing that answers once takes longer; a caller may ask for less. */
  unaryMs: 30_000,
  /** An upload of many messages. */
  clientStreamMs: 600_000,
  /** A watch ends with Unavailable after this and is opened again: connections get rebalanced and tokens checked anew. */
  serverStreamMs: 3_600_000,
  /** How long after its deadline a call whose body never ended is cut off. */
  cutMs: 2_000,
};

const GRPC_UNITS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** How long this call may take at most. */
export function limitOf(method: DescMethod, deadlines: Deadlines): number {
  if (method.methodKind === 'unary') return deadlines.unaryMs;
  return method.methodKind === 'client_streaming' ? deadlines.clientStreamMs : deadlines.serverStreamMs;
}

/** Lowers the timeout in the request's headers to the limit, or sets it: connect-node then aborts the signal, and handlers see what is left. */
export function capTimeout(headers: IncomingHttpHeaders, limitMs: number): void {
  const isGrpc = headers['content-type']?.startsWith('application/grpc') ?? false;
  const name = isGrpc ? 'grpc-timeout' : 'connect-timeout-ms';
  const asked = headers[name];
  const ms = isGrpc ? grpcTimeout(asked) : asked === undefined ? Infinity : Number(asked);
  if (ms > limitMs) headers[name] = `${limitMs}${isGrpc ? 'm' : ''}`; // a malformed one is NaN, stays and is refused as such
}

/** Answers at the deadline even when a handler does not look at its signal; ends streams at their limit, and watches when the server stops. */
export function deadlines(limits: Deadlines, stopping: AbortSignal): Interceptor {
  return (next) => async (request) => {
    if (!request.stream) return beforeAbort(next(request), request.signal);
    const end = new AbortController();
    const isUpload = request.method.methodKind === 'client_streaming';
    const timer = setTimeout(() => end.abort(isUpload ? tooLong() : reopen('this stream has run long enough')), limitOf(request.method, limits));
    const onStop = (): void => end.abort(reopen('this server is stopping'));
    const onAbort = (): void => end.abort(request.signal.reason);
    if (!isUpload) listen(stopping, onStop);
    listen(request.signal, onAbort);
    const release = (): void => {
      clearTimeout(timer);
      stopping.removeEventListener('abort', onStop);
      request.signal.removeEventListener('abort', onAbort);
    };
    try {
      const response = (await beforeAbort(next({ ...request, signal: end.signal }), end.signal)) as StreamResponse;
      return { ...response, message: untilAbort(response.message, end.signal, release) };
    } catch (error) {
      release();
      throw error;
    }
  };
}

export async function beforeAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    const settled = (): void => signal.removeEventListener('abort', onAbort);
    listen(signal, onAbort);
    work.then(resolve, reject).finally(settled);
  });
}

async function* untilAbort<T>(messages: AsyncIterable<T>, signal: AbortSignal, release: () => void): AsyncGenerator<T> {
  const source = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const result = await beforeAbort(source.next(), signal);
      if (result.done) return;
      yield result.value;
    }
  } finally {
    release();
    // Not awaited: a handler that hangs would hang its caller as well.
    source.return?.()?.catch(() => {});
  }
}

function listen(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
}

/** Milliseconds: Infinity when nothing is said, NaN when it is none. */
export function grpcTimeout(text: unknown): number {
  if (typeof text !== 'string') return Infinity;
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return Number(digits) * (GRPC_UNITS[unit] ?? NaN);
}

function reopen(message: string): Error {
  return refuse('OVERLOADED', `${message}; open it again`, undefined, 0);
}

function tooLong(): Error {
  return refuse('DEADLINE_EXCEEDED', 'this upload took too long');
}
