// The way to one service: a single HTTP/2 session that all calls share, made again when it ends.
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import { backoff } from '@millrace/chassis/backoff';
import type { Log } from '@millrace/chassis/log';

/** A neighbour that doesn't take a connection within this is down. */
const CONNECT_MS = 2_000;
/** Pauses between tries: a restarted service is found within two seconds. */
const PAUSE = { baseMs: 50, maxMs: 2_000 };
/** A peer that stopped or vanished shows by unanswered pings only. */
const PING_EVERY_MS = 5_000;
const PING_ANSWER_MS = 5_000;
/** Memory that one session may use for what its calls have under way; the default of 10 MB refuses calls in a flash sale. */
const SESSION_MEGABYTES = 256;

export type Upstream = {
  name: string;
  /** A stream, or the milliseconds until the next try to connect. */
  request(headers: OutgoingHttpHeaders, options?: { endStream?: boolean; signal?: AbortSignal }): ClientHttp2Stream | number;
  close(): void;
};

export function createUpstream({ name, url, log }: { name: string; url: string; log: Log }): Upstream {
  let session: ClientHttp2Session | undefined;
  let pausedUntil = 0;
  let failures = 0;
  let retry: NodeJS.Timeout | undefined;
  let closed = false;

  const open = (): ClientHttp2Session => {
    const opened = connect(url, { maxSessionMemory: SESSION_MEGABYTES, settings: { enablePush: false } });
    const connecting = setTimeout(() => opened.destroy(new Error(`no connection within ${CONNECT_MS} ms`)), CONNECT_MS);
    let pinging: NodeJS.Timeout | undefined;
    let stood = false;
    opened.once('connect', () => {
      stood = true;
      clearTimeout(connecting);
      if (failures > 0) log.info({ upstream: name, failures }, 'service is back');
      failures = 0;
      pinging = keepChecking(opened);
    });
    // The service is stopping: it finishes what it has, new calls need a new session.
    opened.once('goaway', () => forget(opened));
    opened.once('error', (error) => {
      // The end of one that stood says nothing about the next, which is made at once.
      if (stood) return log.warn({ upstream: name, err: error }, 'connection to a service was lost');
      failures += 1;
      if (failures === 1) log.warn({ upstream: name, err: error }, 'service can not be reached');
    });
    opened.once('close', () => {
      clearTimeout(connecting);
      clearInterval(pinging);
      forget(opened);
    });
    return opened;
  };

  const forget = (ended: ClientHttp2Session) => {
    if (session !== ended) return;
    session = undefined;
    if (closed || failures === 0) return;
    const pause = backoff(failures, PAUSE);
    pausedUntil = performance.now() + pause;
    retry = setTimeout(() => { session ??= open(); }, pause).unref();
  };

  return {
    name,
    request(headers, options) {
      // Ended, but its "close" is still to come.
      if (session?.destroyed || session?.closed) forget(session);
      if (!session) {
        const left = closed ? PAUSE.maxMs : Math.ceil(pausedUntil - performance.now());
        if (left > 0) return left;
        session = open();
      }
      // Calls made before the connection stands wait in the session; if it fails, they fail with it.
      return session.request(headers, options);
    },
    close() {
      closed = true;
      clearTimeout(retry);
      session?.close();
    },
  };
}

function keepChecking(session: ClientHttp2Session): NodeJS.Timeout {
  return setInterval(() => {
    if (session.destroyed) return;
    const late = setTimeout(() => session.destroy(new Error(`no answer to a ping within ${PING_ANSWER_MS} ms`), constants.NGHTTP2_CANCEL), PING_ANSWER_MS).unref();
    const sent = session.ping(() => clearTimeout(late));
    if (!sent) clearTimeout(late);
  }, PING_EVERY_MS).unref();
}
