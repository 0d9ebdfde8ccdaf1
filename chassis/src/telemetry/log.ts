// One JSON line per event on stdout. Secrets and personal data never get that far.
import { pino } from 'pino';
import { scrub } from './scrub.ts';

export type Log = pino.Logger;

const HIDDEN = '[hidden]';
// As in JSON and as in TypeScript; compared in lower case without separators.
const HIDDEN_KEYS = new Set(
  `authorization cookie set-cookie token access_token jwt password secret client_secret webhook_secret api_key secret_key auth_token server_token
   stripe-signature payment_method card number cvc database_url nats_url millrace_token
   email phone name address shipping_address recipient customer to body html text note headers`.split(/\s+/).map(plain),
);
// Deeper things are not worth a log line's time.
const MAX_DEPTH = 4;
const MAX_ITEMS = 50;
const MAX_CAUSES = 4;

/** `destination` is for tests. */
export function createLog(service: string, level: string, destination?: pino.DestinationStream): Log {
  const options: pino.LoggerOptions = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }), log: hideSecrets },
    serializers: { err: (described: unknown) => described }, // hideSecrets has done it
    hooks: {
      logMethod(args, method) {
        const [first, ...rest] = args as unknown[];
        const clean = first instanceof Error ? [{ err: first }, ...(rest.length > 0 ? rest : [first.message])] : [first, ...rest];
        method.apply(this, clean.map((arg) => (typeof arg === 'string' ? scrub(arg) : arg)) as typeof args);
      },
    },
  };
  // In order and complete, also when the process ends; pino's default writes in the background and can swap the last lines.
  const log = pino(options, destination ?? pino.destination({ fd: 1, sync: true }));
  // pino's formatters leave a child's bindings alone; children inherit this.
  const childOf = Reflect.get(log, 'child') as unknown as (this: Log, bindings: pino.Bindings, childOptions?: object) => Log;
  const child = function (this: Log, bindings: pino.Bindings, childOptions?: object): Log {
    return childOf.call(this, hideSecrets(bindings), childOptions);
  };
  Object.assign(log, { child });
  return log;
}

/** What a log may know of an error: not the row or parameters that a database quotes in `detail` and `where`. */
export function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error, message: scrub(String(error)) };
  const known = error as Error & { code?: unknown; reason?: unknown; constraint?: unknown; table?: unknown; statusCode?: unknown };
  return {
    type: error.name,
    message: scrub(error.message),
    stack: error.stack === undefined ? undefined : scrub(error.stack),
    code: primitive(known.code),
    reason: primitive(known.reason),
    constraint: primitive(known.constraint),
    table: primitive(known.table),
    statusCode: primitive(known.statusCode),
    cause: error.cause === undefined || depth >= MAX_CAUSES ? undefined : describeError(error.cause, depth + 1),
  };
}

function hideSecrets(object: Record<string, unknown>): Record<string, unknown> {
  return hideIn(object, 0);
}

function hideIn(object: object, depth: number): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(object)) clean[key] = HIDDEN_KEYS.has(plain(key)) && value !== undefined ? HIDDEN : hideValue(value, depth + 1);
  return clean;
}

function hideValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return scrub(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (value instanceof Error) return describeError(value);
  if (depth > MAX_DEPTH) return '[deep]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => hideValue(item, depth + 1));
  return hideIn(value, depth);
}

function primitive(value: unknown): unknown {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}

function plain(key: string): string {
  return key.toLowerCase().replaceAll(/[_-]/g, '');
}
