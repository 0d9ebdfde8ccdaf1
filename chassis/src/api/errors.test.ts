import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, DebugInfoSchema, ErrorInfoSchema, RequestInfoSchema } from '@millrace/gen/google/rpc/error_details_pb.js';
import { ErrorReasonSchema } from '@millrace/gen/millrace/type/v1/errors_pb.js';
import { describe, expect, it } from 'vitest';
import { createLog } from '../telemetry/log.ts';
import { type Reason, errorInfo, refuse, retryAfter, toConnectError } from './errors.ts';

class OutOfStockError extends Error {
  readonly reason = 'OUT_OF_STOCK';
  readonly metadata = { sku: 'MUG', requested: '3', available: '1' };
}

describe('an error with a reason', () => {
  it('gets the code, the reason and the metadata', () => {
    const error = toConnectError(new OutOfStockError('only 1 left'));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe('only 1 left');
    expect(errorInfo(error)).toEqual({ reason: 'OUT_OF_STOCK', metadata: { sku: 'MUG', requested: '3', available: '1' } });
  });

  it.each(ErrorReasonSchema.values.filter((value) => value.number > 0).map((value) => value.localName as Reason))('%s has a code of its own choosing', (reason) => {
    const error = toConnectError(refuse(reason, 'because'));
    expect(Code[error.code]).toBeDefined();
    expect(error.code).not.toBe(Code.Unknown);
    expect(errorInfo(error)?.reason).toBe(reason);
  });

  it('says when to come back', () => {
    expect(retryAfter(toConnectError(refuse('OVERLOADED', 'busy', undefined, 1_250)))).toBe(1_250);
    expect(retryAfter(toConnectError(refuse('NOT_FOUND', 'none')))).toBeUndefined();
  });

  it('quotes nobody\'s address, card or secret', () => {
    expect(toConnectError(refuse('NOT_FOUND', 'there is no order ann@example.com, 4242424242424242 or pi_1_secret_2')).rawMessage).toBe('there is no order [email], [card] or pi_1_[secret]');
  });

  it('is internal when nobody knows the reason', () => {
    expect(toConnectError(Object.assign(new Error('x'), { reason: 'MADE_UP' })).code).toBe(Code.Internal);
  });
});

describe('any other error', () => {
  it.each([
    ['a plain error', new Error('relation "orders" does not exist')],
    ['a string', 'boom'],
    ['undefined', undefined],
    ['a ConnectError without a reason', new ConnectError('secret plan', Code.NotFound)],
    ['what a neighbour answered', fromWire(new ConnectError('secret plan', Code.Internal))],
    ['a neighbour that refuses our token', fromWire(withInfo('UNAUTHENTICATED', Code.Unauthenticated))],
    ['a neighbour that may not serve us', fromWire(withInfo('PERMISSION_DENIED', Code.PermissionDenied))],
  ])('%s is "internal error" outside and a full line at home', (_title, thrown) => {
    const lines: Record<string, unknown>[] = [];
    const log = createLog('order', 'info', { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) });
    const error = toConnectError(thrown, log, 'r-1');
    expect([error.code, error.rawMessage]).toEqual([Code.Internal, 'internal error']);
    expect(error.findDetails(RequestInfoSchema)[0]?.requestId).toBe('r-1');
    expect(lines).toMatchObject([{ level: 'error', request_id: 'r-1', err: {} }]);
  });

  it.each([
    ['AbortError', new DOMException('This operation was aborted', 'AbortError'), Code.DeadlineExceeded, 'DEADLINE_EXCEEDED'],
    ['TimeoutError', new DOMException('The operation was aborted due to timeout', 'TimeoutError'), Code.DeadlineExceeded, 'DEADLINE_EXCEEDED'],
    ["a neighbour's deadline", fromWire(new ConnectError('x', Code.DeadlineExceeded)), Code.DeadlineExceeded, 'DEADLINE_EXCEEDED'],
    ['a neighbour that is away', new ConnectError('connect ECONNREFUSED 127.0.0.1:8082', Code.Unavailable), Code.Unavailable, 'DEPENDENCY_UNAVAILABLE'],
    ['undecodable bytes', new ConnectError('parse binary: premature EOF', Code.Internal), Code.InvalidArgument, 'MALFORMED_MESSAGE'],
    ['undecodable JSON', new ConnectError('cannot decode message', Code.InvalidArgument), Code.InvalidArgument, 'MALFORMED_MESSAGE'],
    ['too many bytes', new ConnectError('message size 9 is larger than configured readMaxBytes 8', Code.ResourceExhausted), Code.ResourceExhausted, 'MESSAGE_TOO_LARGE'],
  ])('%s has a code and a reason', (_title, thrown, code, reason) => {
    const error = toConnectError(thrown);
    expect([error.code, errorInfo(error)?.reason]).toEqual([code, reason]);
    expect(error.rawMessage).not.toMatch(/ECONNREFUSED|parse binary/);
  });
});

describe("a neighbour's error with one of our reasons", () => {
  it('goes on to the caller with its reason, without metadata and foreign details', () => {
    const neighbour = withInfo('OUT_OF_STOCK', Code.FailedPrecondition);
    neighbour.metadata.set('x-internal', '1');
    neighbour.details.push({ desc: DebugInfoSchema, value: { detail: 'stack' } }, { desc: BadRequestSchema, value: {} });
    const error = toConnectError(fromWire(neighbour));
    expect(errorInfo(error)?.reason).toBe('OUT_OF_STOCK');
    expect(error.findDetails(DebugInfoSchema)).toEqual([]);
    expect(error.findDetails(BadRequestSchema)).toHaveLength(1);
    expect([...error.metadata]).toEqual([]);
  });
});

it('another domain is not ours', () => {
  expect(errorInfo(new ConnectError('x', Code.NotFound, undefined, [{ desc: ErrorInfoSchema, value: { domain: 'stripe.com', reason: 'NO' } }]))).toBeUndefined();
});

function withInfo(reason: string, code: Code): ConnectError {
  return new ConnectError('sorry', code, undefined, [{ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { domain: 'millrace', reason }) }]);
}

function fromWire(error: ConnectError): ConnectError {
  return Object.assign(error, { isWireError: true });
}
