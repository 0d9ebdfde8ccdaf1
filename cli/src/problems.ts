// What went wrong, in plain words, and the exit code that says so to scripts.
import { Code, ConnectError } from '@connectrpc/connect';
import { ViolationsSchema } from '@millrace/gen/buf/validate/validate_pb.js';
import { ErrorInfoSchema, RetryInfoSchema } from '@millrace/gen/google/rpc/error_details_pb.js';
import { showMoney } from './values.ts';

export const EXIT = { ok: 0, refused: 1, usage: 2, unreachable: 3 } as const;

export type Problem = { exit: number; words: string; code: string; reason: string; metadata: Record<string, string>; violations: { field: string; message: string }[]; retryAfterMs: number | undefined };

/** Each gets the metadata and the server's own message. */
const WORDS: Record<string, (metadata: Record<string, string>, message: string) => string> = {
  OUT_OF_STOCK: ({ sku, requested, available }) => `There is not enough ${sku}: ${requested} wanted, ${available} available.`,
  UNKNOWN_SKU: ({ sku }) => `There is no product ${sku}.`,
  PRODUCT_ARCHIVED: ({ sku }) => `The product ${sku} is archived and can't be ordered.`,
  SKU_EXISTS: ({ sku }) => `There is a product ${sku} already.`,
  PRICE_CHANGED: ({ actual, expected, currency }) => `The total is ${amount(actual, currency)} now, not ${amount(expected, currency)}.`,
  ILLEGAL_TRANSITION: (_, message) => `That can't be done now: ${message}.`,
  REVISION_CONFLICT: ({ revision }) => `Somebody else changed it meanwhile: its revision is ${revision} now.`,
  REQUEST_ID_REUSED: ({ request_id: id }) => `The request id ${id} was used before, for something else.`,
  REFUND_TOO_LARGE: ({ refundable, currency }) => `That is more than is left to refund: ${amount(refundable, currency)}.`,
  STOCK_BELOW_RESERVED: ({ sku, on_hand: onHand, reserved }) => `Of ${sku} there are ${onHand}, and ${reserved} of them are held for orders: less can't be left.`,
  UNAUTHENTICATED: (_, message) => `The token was not accepted: ${message}.`,
  PERMISSION_DENIED: () => 'This token may not do that.',
  NOT_FOUND: (_, message) => `It was not found, or it isn't yours: ${message}.`,
  RATE_LIMITED: () => 'Too many calls in a short time.',
  OVERLOADED: () => 'There is more to do than can be done now.',
  DEADLINE_EXCEEDED: () => 'There was no answer in time; whether it was done is not known.',
};

export function problemOf(thrown: unknown): Problem {
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema)[0];
  const reason = info?.reason ?? '';
  const metadata = info?.metadata ?? {};
  const violations = error.findDetails(ViolationsSchema).flatMap((found) => found.violations.map((violation) => ({ field: fieldName(violation.field?.elements ?? []), message: violation.message })));
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    exit: isUnreachable(error.code) ? EXIT.unreachable : EXIT.refused,
    words: WORDS[reason]?.(metadata, error.rawMessage) ?? plainWords(error),
    code: Code[error.code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toLowerCase(),
    reason,
    metadata,
    violations,
    retryAfterMs: delay && Number(delay.seconds) * 1_000 + delay.nanos / 1e6,
  };
}

/** Several lines for a terminal. */
export function describe(problem: Problem): string {
  const lines = [problem.words];
  for (const { field, message } of problem.violations) lines.push(`  ${field || 'the request'}: ${message}`);
  if (problem.reason) lines.push(`  reason: ${problem.reason}`);
  for (const [name, value] of Object.entries(problem.metadata)) lines.push(`  ${name}: ${value}`);
  if (problem.retryAfterMs !== undefined) lines.push(`  worth another try in ${Math.max(1, Math.round(problem.retryAfterMs / 1_000))} s`);
  return lines.join('\n');
}

// Metadata has amounts in the smallest unit.
function amount(minorUnits: string | undefined, currencyCode: string | undefined): string {
  return /^-?\d+$/.test(minorUnits ?? '') && currencyCode ? showMoney({ minorUnits: BigInt(minorUnits ?? 0), currencyCode }) : 'another amount';
}

// A server that is killed in the middle of a call shows as "canceled".
function isUnreachable(code: Code): boolean {
  return code === Code.Unavailable || code === Code.DeadlineExceeded || code === Code.Canceled;
}

function plainWords(error: ConnectError): string {
  const sentence = error.rawMessage.replace(/^\w/, (letter) => letter.toUpperCase()).replace(/(?<=\w)$/, '.');
  if (error.code === Code.Unavailable) return /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ECONNRESET|ETIMEDOUT/.test(error.message) ? 'Millrace does not answer at this address. Is it running?' : sentence;
  if (error.code === Code.Unimplemented) return `The server doesn't serve this: ${error.rawMessage}.`;
  return sentence;
}

function fieldName(elements: { fieldName: string; subscript: { case?: string; value?: unknown } }[]): string {
  return elements.map(({ fieldName: name, subscript }) => (subscript.case === undefined ? name : `${name}[${String(subscript.value)}]`)).join('.');
}
