// One cleartext port for HTTP/1.1 and HTTP/2 with prior knowledge, told apart by the first bytes.
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { leakyBucket } from '../flow/leaky-bucket.ts';

export type NodeRequest = http.IncomingMessage | http2.Http2ServerRequest;
export type NodeResponse = http.ServerResponse | http2.Http2ServerResponse;
export type NodeHandler = (request: NodeRequest, response: NodeResponse) => void;
/** Takes a stream of HTTP/2 as it is, or leaves it (false) to be made a request and a response of. */
export type StreamHandler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => boolean;

/** All in milliseconds, except where the name says otherwise. Tests shorten them. */
export type MuxLimits = typeof MUX_LIMITS;

export const MUX_LIMITS = {
  /** A client that connects speaks at once; one that doesn't only holds a socket. */
  sniffTimeout: 5_000,
  /** Headers are one packet; this is for the slowest of phones, not for slow-header attacks. */
  headersTimeout: 10_000,
  /** HTTP/1.1 only: the whole request, body included. */
  requestTimeout: 60_000,
  /** An idle HTTP/1.1 connection; longer than the 60 s of the usual load balancers, so that they close first. */
  keepAliveTimeout: 65_000,
  /** An HTTP/2 connection without streams; our own clients let go earlier. */
  sessionIdleTimeout: 60_000,
  /** How often HTTP/1.1 timeouts are looked at; Node's own 30 s would make them useless. */
  checkInterval: 1_000,
  /** Per HTTP/2 connection; our own services multiplex everything over one. */
  maxConcurrentStreams: 1_000,
  /** Well below the usual limit of open files with the database's and the broker's beside it. */
  maxConnections: 10_000,
  /**
   * Calls that one HTTP/2 connection may break off at once, and then each second; beyond it the connection is ended, with all its calls. Of our
   * own processes: a crowd that leaves the edge breaks off all that it asked for.
   */
  resetBurst: 100_000,
  resetRate: 10_000,
  /** Bytes: tokens are under 1 KiB, cookies and traces rarely more than 4. */
  maxHeaderSize: 16_384,
  /** Headers of one HTTP/2 request. */
  maxHeaderPairs: 100,
};

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const TCP_KEEP_ALIVE_MS = 30_000;
/** Between closing idle HTTP/1.1 connections while stopping. */
const DRAIN_TICK_MS = 20;
/** Time for the notice of a stop to arrive while the connection still stands. Without it a call met one that had just closed, and nobody knew its outcome. */
const LAST_WORDS_MS = 100;

/**
 * For resets, which are counted here: Node ends a session in the middle of what it reads, and then the process now and then fails an assertion
 * when the session is collected (current_nghttp2_memory_ in ~Http2Session).
 */
const NO_LIMIT = 2 ** 31 - 1;

export type Mux = ReturnType<typeof createMux>;

export function createMux(handler: NodeHandler, takeStream: StreamHandler, limits: MuxLimits) {
  const sniffing = new Set<net.Socket>();
  const sockets = new Set<net.Socket>();
  const sessions = new Set<http2.ServerHttp2Session>();
  const inFlight = { count: 0 };
  let draining = false;
  const h1 = createHttp1((request, response) => {
    inFlight.count += 1;
    response.once('close', () => (inFlight.count -= 1));
    handler(request, response);
  }, limits);
  const h2 = createHttp2(handler, takeStream, limits, sessions, inFlight);
  h2.on('session', (session) => {
    if (draining) giveNotice(session);
  });

  const server = net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS }, (socket) => {
    if (sockets.size >= limits.maxConnections && !makeRoom(sniffing)) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    sniffing.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      sniffing.delete(socket);
    });
    sniff(socket, limits.sniffTimeout, (isHttp2) => {
      sniffing.delete(socket);
      (isHttp2 ? h2 : h1).emit('connection', socket);
    });
  });

  return {
    server,
    /** Takes no more connections and requests; what is in flight goes on, for `graceMs` at most. Answers whether everything ended in time. */
    async drain(graceMs: number): Promise<boolean> {
      draining = true;
      server.close();
      sessions.forEach(giveNotice);
      const started = performance.now();
      const passed = (ms: number): boolean => performance.now() - started >= ms;
      const quiet = (): boolean => inFlight.count === 0 && (passed(LAST_WORDS_MS) || sniffing.size + sessions.size === 0);
      while (!quiet() && !passed(graceMs)) {
        h1.closeIdleConnections();
        if (passed(LAST_WORDS_MS)) for (const session of sessions) session.close();
        await new Promise((resolve) => setTimeout(resolve, DRAIN_TICK_MS));
      }
      return inFlight.count === 0;
    },
    destroy(): void {
      h1.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

// From here on Node ignores new streams; GOAWAY names the last one it has seen, so that the other side knows which to send elsewhere.
function giveNotice(session: http2.ServerHttp2Session): void {
  if (!session.closed && !session.destroyed) session.goaway();
}

function createHttp1(handler: NodeHandler, limits: MuxLimits): http.Server {
  const { headersTimeout, requestTimeout, keepAliveTimeout, checkInterval, maxHeaderSize } = limits;
  const server = http.createServer({ headersTimeout, requestTimeout, keepAliveTimeout, connectionsCheckingInterval: checkInterval, maxHeaderSize }, handler);
  // It never listens itself, and without this Node would never look at its timeouts.
  server.emit('listening');
  return server;
}

function createHttp2(handler: NodeHandler, takeStream: StreamHandler, limits: MuxLimits, sessions: Set<http2.ServerHttp2Session>, inFlight: { count: number }): http2.Http2Server {
  const settings = { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderSize, enablePush: false };
  const server = http2.createServer({ settings, maxHeaderListPairs: limits.maxHeaderPairs, streamResetBurst: NO_LIMIT, streamResetRate: NO_LIMIT });
  // Makes requests and responses, which cost a call a fifth of what its stream costs, only of what is left to it.
  const requests = http2.createServer(handler);
  server.on('session', (session) => {
    let streams = 0;
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    const isTooMany = leakyBucket(limits.resetBurst, limits.resetRate);
    session.on('stream', (stream, ...opening) => {
      streams += 1;
      inFlight.count += 1;
      // What broke a stream shows in its end, which is still to come also for one that was broken off in the packet that opened it.
      stream.on('error', () => {});
      stream.once('close', () => {
        streams -= 1;
        inFlight.count -= 1;
        // A reset may say that there is no error.
        const isBrokenOff = stream.aborted || stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR;
        if (!isBrokenOff || !isTooMany() || session.destroyed) return;
        session.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
        session.destroy();
      });
      if (!stream.destroyed && !takeStream(stream, opening[0])) requests.emit('stream', stream, ...opening);
    });
    // With streams open it is quiet, not idle; those have deadlines of their own, and their end restarts this clock.
    session.setTimeout(limits.sessionIdleTimeout, () => {
      if (streams === 0) session.destroy();
    });
  });
  return server;
}

function sniff(socket: net.Socket, timeoutMs: number, decide: (isHttp2: boolean) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const giveUp = (): void => {
    clearTimeout(timer);
    socket.destroy();
  };
  const timer = setTimeout(giveUp, timeoutMs);
  const onReadable = (): void => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      seen = Buffer.concat([seen, chunk]);
      const compared = Math.min(seen.length, PREFACE.length);
      const same = seen.subarray(0, compared).equals(PREFACE.subarray(0, compared));
      if (!same || compared === PREFACE.length) return handOver(same);
    }
  };
  const handOver = (isHttp2: boolean): void => {
    clearTimeout(timer);
    socket.off('readable', onReadable).off('end', giveUp).off('close', giveUp).off('error', giveUp);
    socket.unshift(seen);
    decide(isHttp2);
  };
  socket.on('readable', onReadable).on('end', giveUp).on('close', giveUp).on('error', giveUp);
}

// The oldest of those that have not said a word gives way: an attacker's silence must not keep customers out.
function makeRoom(sniffing: Set<net.Socket>): boolean {
  const [oldest] = sniffing;
  oldest?.destroy();
  return oldest !== undefined;
}
