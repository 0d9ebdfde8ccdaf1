// Errors on the wire: a code, a stable reason with metadata, and nothing that is not meant for the caller.
import { randomUUID } from 'node:crypto';
import { type DescMessage, type MessageInitShape, getOption } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema, RequestInfoSchema, RetryInfoSchema } from '@millrace/gen/google/rpc/error_details_pb.js';
import { ViolationsSchema } from '@millrace/gen/buf/validate/validate_pb.js';
import { type ErrorReason, ErrorReasonSchema, code as codeOption } from '@millrace/gen/millrace/type/v1/errors_pb.js';
import { type Log, describeError } from '../telemetry/log.ts';
import { scrub } from '../telemetry/scrub.ts';
import { databaseAway } from './database-away.ts';

export type Reason = Exclude<keyof typeof ErrorReason, 'UNSPECIFIED'>;
export type Metadata = Record<string, string>;
type Detail = { [D in DescMessage['typeName']]: { desc: DescMessage; value: MessageInitShape<DescMessage> } }[string];

const DOMAIN = 'millrace';
// How long a caller should wait when a dependency is away and nobody knows better.
const DEPENDENCY_RETRY_MS = 1_000;

// What connect-es calls internal although the caller sent it.
const MALFORMED = /^(parse binary|decompression failed|received compressed envelope|invalid end stream)/;

const CODES = new Map<string, Code>(
  ErrorReasonSchema.values.filter((value) => value.number !== 0).map((value) => [value.localName, getOption(value, codeOption) as number as Code]),
);

/** An error for the caller, ad hoc: `throw refuse('NOT_FOUND', 'no such order')`. Its code comes from the reason. */
export function refuse(reason: Reason, message: string, metadata?: Metadata, retryAfterMs?: number): Error {
  return Object.assign(new Error(message), { name: 'RefusedError', reason, metadata, retryAfterMs });
}

/** The one place where any error becomes one for the wire. What the caller has no part in is "internal error" there and a full line in the log. */
export function toConnectError(error: unknown, log?: Log, requestId: string = randomUUID()): ConnectError {
  if (error instanceof ConnectError) return fromConnectError(error) ?? internal(error, log, requestId);
  if (hasReason(error)) return withReason(error.reason, error.message, error.metadata, error.retryAfterMs, error, error.details);
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) return withReason('DEADLINE_EXCEEDED', 'the deadline passed; the outcome is unknown', undefined, undefined, error);
  // Prisma's reads; the statements of db.ts have said it themselves.
  if (databaseAway(error)) return withReason('DEPENDENCY_UNAVAILABLE', 'something that this service needs is away', undefined, DEPENDENCY_RETRY_MS, error);
  return internal(error, log, requestId);
}

/** Reads reason and metadata off an error that came over the wire, or is about to. */
export function errorInfo(error: unknown): { reason: string; metadata: Metadata } | undefined {
  if (hasReason(error)) return { reason: error.reason, metadata: error.metadata ?? {} };
  if (!(error instanceof ConnectError)) return undefined;
  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === DOMAIN);
  return info && { reason: info.reason, metadata: info.metadata };
}

/** When a caller may come back, in milliseconds, if the error says. */
export function retryAfter(error: unknown): number | undefined {
  if (hasReason(error)) return error.retryAfterMs;
  const delay = error instanceof ConnectError ? error.findDetails(RetryInfoSchema)[0]?.retryDelay : undefined;
  return delay && Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
}

/** Gives a reason to an error that the protocol layer itself made: undecodable or oversized messages, deadlines. Changes it in place. */
export function explainProtocolError(error: ConnectError): void {
  if (error.isWireError || error.details.length > 0) return;
  const reason = protocolReason(error);
  if (reason === undefined) return;
  // What stands behind the colon quotes the message.
  const message = reason === 'MALFORMED_MESSAGE' ? (/^cannot decode [\w. ]+ from JSON/.exec(error.rawMessage)?.[0] ?? 'the message could not be decoded') : error.rawMessage;
  Object.assign(error, { code: CODES.get(reason), rawMessage: message, details: detailsOf(reason) });
}

function protocolReason({ code, rawMessage }: ConnectError): Reason | undefined {
  if (MALFORMED.test(rawMessage)) return 'MALFORMED_MESSAGE';
  if (code === Code.InvalidArgument) return 'MALFORMED_MESSAGE';
  if (code === Code.ResourceExhausted && rawMessage.includes('readMaxBytes')) return 'MESSAGE_TOO_LARGE';
  if (code === Code.DeadlineExceeded) return 'DEADLINE_EXCEEDED';
  return undefined;
}

function fromConnectError(error: ConnectError): ConnectError | undefined {
  const info = errorInfo(error);
  // A neighbour that refuses our own token or can't read our message is our fault, not the caller's.
  if (info && error.isWireError && ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'MALFORMED_MESSAGE'].includes(info.reason)) return undefined;
  if (info) return new ConnectError(error.rawMessage, error.code, undefined, publicDetails(error), error);
  if (!error.isWireError) explainProtocolError(error);
  if (errorInfo(error)) return error;
  switch (error.code) {
    case Code.Unimplemented:
      return error.isWireError ? undefined : error;
    case Code.Canceled: // clients.ts has turned a neighbour's cancellation into Unavailable, so this is the caller's own
      return new ConnectError('the caller has gone away', Code.Canceled, undefined, undefined, error);
    case Code.DeadlineExceeded:
      return withReason('DEADLINE_EXCEEDED', 'the deadline passed; the outcome is unknown', undefined, undefined, error);
    case Code.Unavailable:
    case Code.ResourceExhausted:
      return withReason('DEPENDENCY_UNAVAILABLE', 'something that this service needs is away', undefined, DEPENDENCY_RETRY_MS, error);
    default:
      return undefined;
  }
}

function withReason(reason: Reason, message: string, metadata?: Metadata, retryAfterMs?: number, cause?: unknown, more: Detail[] = []): ConnectError {
  // Messages quote what was sent, and errors travel far: into other people's logs.
  return new ConnectError(scrub(message), CODES.get(reason), undefined, [...detailsOf(reason, metadata, retryAfterMs), ...more], cause);
}

function internal(error: unknown, log: Log | undefined, requestId: string): ConnectError {
  log?.error({ err: describeError(error), request_id: requestId }, 'a call failed, and it is not the caller\'s fault');
  return new ConnectError('internal error', Code.Internal, undefined, [{ desc: RequestInfoSchema, value: { requestId } }], error);
}

function detailsOf(reason: Reason, metadata: Metadata = {}, retryAfterMs?: number): Detail[] {
  const info = { desc: ErrorInfoSchema, value: { domain: DOMAIN, reason, metadata } };
  if (retryAfterMs === undefined) return [info];
  const retryDelay = { seconds: BigInt(Math.floor(retryAfterMs / 1_000)), nanos: Math.round(retryAfterMs % 1_000) * 1_000_000 };
  return [info, { desc: RetryInfoSchema, value: { retryDelay } }];
}

// A neighbour may attach what it likes; only these kinds were made for callers.
function publicDetails(error: ConnectError): Detail[] {
  return [ErrorInfoSchema, RetryInfoSchema, ViolationsSchema, BadRequestSchema].flatMap((desc) => error.findDetails(desc as DescMessage).map((value) => ({ desc, value })));
}

function hasReason(error: unknown): error is Error & { reason: Reason; metadata?: Metadata; retryAfterMs?: number; details?: Detail[] } {
  return error instanceof Error && 'reason' in error && typeof error.reason === 'string' && CODES.has(error.reason);
}
