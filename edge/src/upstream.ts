// The way to one service: a single HTTP/2 session that all calls share, made again when it ends.
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import { backoff } from '@millrace/chassis/flow/backoff';
import type { Log } from '@millrace/chassis/telemetry/log';

/** A neighbour that doesn't take a connection, and say so, within this is down. */
const CONNECT_MS = 3_000;
/** Pauses between tries: a restarted service is found within two seconds. */
const PAUSE = { baseMs: 50, maxMs: 2_000 };
/** How long calls wait for a service that is away, counted from the moment it went: that of a restart. Later ones fail at once. */
const PATIENCE_MS = 3_000;
/** A peer that stopped or vanished shows by unanswered pings only. */
const PING_EVERY_MS = 5_000;
const PING_ANSWER_MS = 5_000;
/** HTTP/2's own: bytes that may be under way to us on one stream. */
const STREAM_WINDOW = 65_535;
/** The same on all streams together; what a slow caller does not take from one counts only there. */
const SESSION_WINDOW = 16_777_216;
/** Memory that one session may use for what its calls have under way; the default of 10 MB refuses calls in a flash sale. */
const SESSION_MEGABYTES = 256;

export type Upstream = {
  name: string;
  /** A stream, or the milliseconds until the next try to connect. */
  request(headers: OutgoingHttpHeaders, options?: { endStream?: boolean; signal?: AbortSignal }): ClientHttp2Stream | number;
  /** Waits a moment for a service that has just gone; false when it has been away for longer. */
  comesBack(): Promise<boolean>;
  close(): void;
};

export function createUpstream({ name, url, log, streamWindow = STREAM_WINDOW }: { name: string; url: string; log: Log; streamWindow?: number }): Upstream {
  let session: ClientHttp2Session | undefined;
  let pausedUntil = 0;
  let failures = 0;
  let awaySince = 0;
  const waiting = new Set<(back: boolean) => void>();
  let retry: NodeJS.Timeout | undefined;
  let closed = false;

  const open = (): ClientHttp2Session => {
    const opened = connect(url, { maxSessionMemory: SESSION_MEGABYTES, settings: { enablePush: false, initialWindowSize: streamWindow } });
    opened.once('connect', () => opened.setLocalWindowSize(SESSION_WINDOW));
    const connecting = setTimeout(() => opened.destroy(new Error(`no connection within ${CONNECT_MS} ms`)), CONNECT_MS);
    let pinging: NodeJS.Timeout | undefined;
    let stood = false;
    // Its first word; the connection alone may be the kernel's doing.
    opened.once('remoteSettings', () => {
      stood = true;
      clearTimeout(connecting);
      if (failures > 0) log.info({ upstream: name, failures }, 'service is back');
      failures = 0;
      pinging = keepChecking(opened);
      for (const tell of waiting) tell(true);
    });
    // The service is stopping: it finishes what it has, new calls need a new session.
    opened.once('goaway', () => forget(opened));
    opened.once('error', (error) => {
      // The end of one that stood says nothing about the next, which is made at once.
      if (stood) return log.warn({ upstream: name, err: error }, 'connection to a service was lost');
      failures += 1;
      if (failures > 1) return;
      awaySince = performance.now();
      log.warn({ upstream: name, err: error }, 'service can not be reached');
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
    comesBack() {
      const left = awaySince + PATIENCE_MS - performance.now();
      if (closed || failures === 0 || left <= 0) return Promise.resolve(!closed && failures === 0);
      return new Promise((resolve) => {
        const tell = (back: boolean) => {
          clearTimeout(timer);
          waiting.delete(tell);
          resolve(back);
        };
        const timer = setTimeout(tell, left, false);
        waiting.add(tell);
      });
    },
    close() {
      closed = true;
      for (const tell of waiting) tell(false);
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
