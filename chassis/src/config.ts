// The environment, read once: every mistake in one message, in plain words, and never a value (it may be a secret).
import { z } from 'zod';

export type Env = Record<string, string | undefined>;

const PORT_RANGE = 'expected a whole number from 0 to 65535';
const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "500ms", "90s", "30m", "2h", "7d" → milliseconds. */
export const duration: z.ZodType<number, string> = z
  .string()
  .regex(/^\d{1,9}(ms|s|m|h|d)$/, 'expected a duration such as 500ms, 90s, 30m, 2h or 7d')
  .transform((text) => Number.parseInt(text, 10) * (UNITS[text.replace(/^\d+/, '')] ?? Number.NaN));

/** An http(s) URL, without a slash at its end. */
export const url: z.ZodType<string, string> = urlOf(['http:', 'https:'], 'expected an http or https URL');

export const processConfig = {
  PORT: z.string('expected the port to listen on').regex(/^\d{1,5}$/, PORT_RANGE).transform(Number).refine((port) => port <= 65_535, PORT_RANGE),
  HOST: z.string().default('127.0.0.1'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'expected one of fatal, error, warn, info, debug, trace, silent').default('info'),
  MILLRACE_JWKS: z.string('expected the public keys of the tokens as JSON: {"keys": [...]}').refine(isKeySet, 'expected JSON of the form {"keys": [...]} with at least one Ed25519 public key'),
};

export const serviceConfig = {
  ...processConfig,
  DATABASE_URL: urlOf(['postgres:', 'postgresql:'], 'expected the URL of the database, postgresql://user:password@host:port/name'),
  NATS_URL: urlOf(['nats:', 'tls:'], 'expected the URL of the broker, nats://user:password@host:port'),
  MILLRACE_CRASH_POINT: z.string().regex(/^[\w.]+(:\d{1,6})?$/, 'expected the name of a crash point, such as order.place.held or order.place.held:3').optional(),
  MILLRACE_TOKEN: z.string("expected the service's own token, a JWT with the role service").regex(/^[\w-]+\.[\w-]+\.[\w-]+$/, 'expected a JWT'),
};

export type ProcessConfig = z.output<z.ZodObject<typeof processConfig>>;
export type ServiceConfig = z.output<z.ZodObject<typeof serviceConfig>>;

export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(service: string, problems: readonly string[]) {
    super(`${service} can't start: its environment is incomplete or wrong.\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** Throws one ConfigError that names every variable that is missing or wrong. An empty variable counts as unset. */
export function readConfig<S extends z.ZodRawShape>(service: string, shape: S, env: Env): z.output<z.ZodObject<S>> {
  const set = Object.fromEntries(Object.entries(env).filter(([name, value]) => name in shape && value !== undefined && value !== ''));
  const result = z.object(shape).safeParse(set);
  if (result.success) return result.data;
  const problems = new Map<string, string>();
  for (const { path, message } of result.error.issues) {
    const name = String(path[0]);
    if (!problems.has(name)) problems.set(name, `${name} is ${name in set ? 'wrong' : 'missing'}: ${message}`);
  }
  throw new ConfigError(service, [...problems.values()]);
}

function urlOf(protocols: string[], expected: string): z.ZodType<string, string> {
  const fits = (text: string): boolean => URL.canParse(text) && protocols.includes(new URL(text).protocol);
  return z.string(expected).refine(fits, expected).transform((text) => text.replace(/\/$/, ''));
}

function isKeySet(text: string): boolean {
  try {
    const { keys } = JSON.parse(text) as { keys: { kty?: string; crv?: string; d?: string }[] };
    return keys.length > 0 && keys.every((key) => key.kty === 'OKP' && key.crv === 'Ed25519' && key.d === undefined);
  } catch {
    return false;
  }
}
