// Every call is accounted for once: its error made fit for the wire, one log line, two metrics.
import { randomUUID } from 'node:crypto';
import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError, type ContextKey, type HandlerContext, type Interceptor, createContextKey } from '@connectrpc/connect';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import { errorInfo, explainProtocolError, toConnectError } from '../api/errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { ObserveCall } from '../telemetry/metrics.ts';

/** A call's place in the accounts. */
export type Call = { id: string; rpc: string; startedAt: number; entered: boolean; settled: boolean };

/** The caller may name the request, so that a chain of calls can be found by one id. */
const REQUEST_ID = /^[\w.-]{1,64}$/;
// Faults of ours; everything else is the caller's business or said elsewhere.
const FAULTS: readonly Code[] = [Code.Internal, Code.Unknown, Code.DataLoss];

/** Every call's signal is aborted at its end. Without a reason at hand the platform makes a new exception with a stack each time: 10 % of a small call. */
export const ENDED = new DOMException('the call is over', 'AbortError');

const callKey: ContextKey<Call | undefined> = createContextKey<Call | undefined>(undefined, { description: 'call' });

export type Calls = {
  begin: (method: DescMethod, requestId: string | null | undefined) => Call;
  /** Accounts for the end of a call; answers its failure as it goes over the wire. */
  settle: (call: Call | undefined, failure?: unknown) => ConnectError | undefined;
  open: (context: HandlerContext) => void;
  interceptor: Interceptor;
};

export function createCalls(log: Log, observe: ObserveCall): Calls {
  const begin: Calls['begin'] = (method, requestId) => ({
    id: requestId && REQUEST_ID.test(requestId) ? requestId : randomUUID(),
    rpc: `${method.parent.typeName}/${method.name}`,
    startedAt: performance.now(), entered: false, settled: false,
  });

  const settle: Calls['settle'] = (call, failure) => {
    const error = failure === undefined ? undefined : toConnectError(failure, log, call?.id);
    if (!call || call.settled) return error;
    call.settled = true;
    const ms = performance.now() - call.startedAt;
    const code = error ? codeToString(error.code) : 'ok';
    observe(call.rpc, code, ms / 1_000);
    const level = error && FAULTS.includes(error.code) ? 'warn' : 'debug';
    if (log.isLevelEnabled(level)) log[level]({ rpc: call.rpc, code, reason: errorInfo(error)?.reason, ms: Math.round(ms * 100) / 100, request_id: call.id }, 'call');
    return error;
  };

  const open = (context: HandlerContext): void => {
    const call = begin(context.method, context.requestHeader.get('x-request-id'));
    context.values.set(callKey, call);
    // Undecodable and oversized messages are answered before any interceptor, but connect-es first aborts the context with the very
    // error that it is about to write: the only place to give it a proper code and reason.
    const ending = context as HandlerContext & { abort: (reason?: unknown) => void };
    const { abort } = ending;
    const explained: typeof abort = (reason = ENDED) => {
      if (reason instanceof ConnectError) explainProtocolError(reason);
      if (!call.entered) settle(call, reason);
      abort(reason);
    };
    // Not in one with the line above: V8 makes a function that is written into a property in its old generation, and the call would stay with it.
    ending.abort = explained;
  };

  const interceptor: Interceptor = (next) => async (request) => {
    const call = request.contextValues.get(callKey);
    if (call) call.entered = true;
    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: watched(response.message, (failure) => settle(call, failure)) };
      settle(call);
      return response;
    } catch (error) {
      throw settle(call, error ?? new Error('something threw undefined'));
    }
  };
  return { begin, settle, open, interceptor };
}

async function* watched<T>(messages: AsyncIterable<T>, settle: (failure?: unknown) => ConnectError | undefined): AsyncGenerator<T> {
  let ended = false;
  try {
    yield* messages;
    ended = true;
    settle();
  } catch (error) {
    ended = true;
    throw settle(error ?? new Error('something threw undefined'));
  } finally {
    if (!ended) settle(new ConnectError('the caller has gone away', Code.Canceled));
  }
}
