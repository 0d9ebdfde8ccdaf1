// Where Millrace is and who we are: from the flags, or from what the launcher wrote down.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Code, ConnectError, type Interceptor, type Transport } from '@connectrpc/connect';
import { type Http2SessionManager, createConnectTransport } from '@connectrpc/connect-node';
import { RetryInfoSchema } from '@millrace/gen/google/rpc/error_details_pb.js';
import { type Flags, UsageError } from './command.ts';

export type Target = { edge: string; token: string };

/** A person is waiting; the services' own limits are shorter. */
const TIMEOUT_MS = 30_000;
/** Enough for a service that is being restarted; every call here may be repeated (reads, or with a request id). */
const TRIES = 4;
const PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 2_000;

type Runtime = { edge?: string; tokens?: Record<string, string> };

export function findTarget(flags: Flags, env: Record<string, string | undefined>): Target {
  const edge = flags.text('edge');
  const token = flags.text('token');
  if (edge !== undefined && token !== undefined) return { edge: checkedUrl(edge), token };
  const { file, content: runtime } = readRuntimeFile(env);
  const name = flags.text('as') ?? 'admin';
  const foundEdge = edge ?? runtime?.edge;
  const foundToken = token ?? runtime?.tokens?.[name];
  if (!foundEdge) throw new UsageError(`Millrace is not running here: there is no ${file}. Start it with npm start, or say where it is with --edge and --token.`);
  if (!foundToken) throw new UsageError(runtime ? `There is no token "${name}" in ${file}: it has ${Object.keys(runtime.tokens ?? {}).join(', ')}.` : 'Say who you are with --token.');
  return { edge: checkedUrl(foundEdge), token: foundToken };
}

/** `headers` go with every call; all transports of one command share its `sessions`. */
export function connectTo({ edge, token }: Target, sessions: Http2SessionManager, headers: Record<string, string> = {}): Transport {
  const signIn: Interceptor = (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`);
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };
  return createConnectTransport({ baseUrl: edge, httpVersion: '2', sessionManager: sessions, defaultTimeoutMs: TIMEOUT_MS, interceptors: [tryAgain, signIn] });
}

const tryAgain: Interceptor = (next) => async (request) => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await next(request);
    } catch (error) {
      if (request.stream || attempt >= TRIES || request.signal.aborted || !(error instanceof ConnectError) || error.code !== Code.Unavailable) throw error;
      await pause(pauseBefore(error, attempt));
    }
  }
};

function pauseBefore(error: ConnectError, attempt: number): number {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const asked = delay ? Number(delay.seconds) * 1_000 + delay.nanos / 1e6 : 0;
  return Math.min(LONGEST_PAUSE_MS, Math.max(asked, PAUSE_MS * attempt));
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

/** What the launcher wrote down; no content when there is no such file. */
export function readRuntimeFile(env: Record<string, string | undefined>, named?: string): { file: string; content: Runtime | undefined } {
  const file = named ?? path.join(env['MILLRACE_HOME'] || '.millrace', 'runtime.json');
  try {
    return { file, content: JSON.parse(readFileSync(file, 'utf8')) as Runtime };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { file, content: undefined };
    throw new UsageError(`${file} can't be read: ${(error as Error).message}`);
  }
}

function checkedUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text)) throw new UsageError(`--edge must be an address such as http://127.0.0.1:8080, not "${text}"`);
  return text.replace(/\/$/, '');
}
