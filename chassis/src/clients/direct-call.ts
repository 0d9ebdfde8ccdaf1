// A neighbour in the same process: its implementation is called as its server would call it, without a wire between them.
import { type DescMessage, type DescMethodUnary, type MessageInitShape, type MessageShape, create } from '@bufbuild/protobuf';
import { type CallOptions, Code, ConnectError, type HandlerContext, createHandlerContext } from '@connectrpc/connect';
import { type Caller, setCaller } from '../api/auth.ts';
import { beforeAbort } from '../api/deadline.ts';
import { toConnectError } from '../api/errors.ts';
import { validate } from '../api/validation.ts';
import { ENDED } from '../server/calls.ts';
import type { Log } from '../telemetry/log.ts';
import { TIMEOUT_MS } from './service-client.ts';

export type DirectOptions = {
  /** Who calls: what its token would say. */
  caller: Caller;
  /** The callee's, for failures that are its fault. */
  log: Log;
  timeoutMs?: number;
};

/**
 * The client's side of one RPC. Request and answer are checked and copied, so that neither side can change what the other keeps;
 * errors have the code, reason and metadata that they would have had over the wire.
 */
export function createDirectCall<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  implementation: (request: MessageShape<I>, context: HandlerContext) => Promise<MessageInitShape<O>> | MessageInitShape<O>,
  { caller, log, timeoutMs = TIMEOUT_MS }: DirectOptions,
): (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>> {
  const asked = { service: method.parent, method, protocolName: 'direct', requestMethod: 'POST', url: `/${method.parent.typeName}/${method.name}` };
  return async (request, options = {}) => {
    const { signal } = options;
    const context = createHandlerContext({ ...asked, timeoutMs: Math.max(1, options.timeoutMs ?? timeoutMs), ...(signal && { requestSignal: signal }) });
    setCaller(context, caller);
    const serve = async (): Promise<MessageInitShape<O>> => {
      const message = create(method.input, copy(request));
      validate(method.input, message);
      return implementation(message, context);
    };
    try {
      return create(method.output, copy(await beforeAbort(serve(), context.signal)));
    } catch (error) {
      if (signal?.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
      // The field is the client's to set; this is the client.
      throw Object.assign(toConnectError(error, log), { isWireError: true });
    } finally {
      context.abort(ENDED);
    }
  };
}

// `create` alone keeps the lists, maps and messages that it is given. protobuf-es's `clone` costs ten times as much.
function copy<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copy) as T;
  if (value instanceof Uint8Array) return value.slice() as T;
  const copied = Object.create(Object.getPrototypeOf(value) as object | null) as Record<string, unknown>;
  for (const [key, inner] of Object.entries(value)) copied[key] = copy(inner);
  return copied as T;
}
