// The load's own client: unary calls over a few HTTP/2 connections, messages in and out as bytes.
// An order through connect-node's client cost about as much CPU as the services spent on it, and both share the machine.
import { connect } from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import { ACK, FRAME, type Frame, PREFACE, SETTING, callFrames, createFrameReader, dataOf, endsStream, frame, headerBlock, readSettings, saysOk, settings } from './frames.ts';
import { type Protocol, type ProtocolName, protocolOf } from './protocols.ts';

/** As from a few back ends. */
const CONNECTIONS = 4;
/** A server that says nothing for so long while calls are open has stopped; also the deadline that each call is sent with. */
const SILENCE_MS = 30_000;
/** What the protocol begins with, until the server's settings say otherwise. */
const FIRST_WINDOW = 65_535;
/** Nothing that is measured sends so much that we would have to hold it back. */
const OUR_WINDOW = 0x7fff_ffff;
/** What has come in before we say that there is room again. */
const REFILL = 0x1000_0000;

export type Caller = {
  /** Answers the message; throws a ConnectError as the server said it. In JSON both messages are texts. */
  call: (path: string, message: Uint8Array) => Promise<Buffer>;
  close: () => void;
};

export function createCaller(url: string, token: string, protocol: ProtocolName = 'Connect'): Caller {
  const connections = Array.from({ length: CONNECTIONS }, () => open(new URL(url), token, protocolOf(protocol, SILENCE_MS)));
  let turn = 0;
  return {
    call: (path, message) => (connections[(turn = (turn + 1) % CONNECTIONS)] as Caller).call(path, message),
    close: () => connections.forEach((connection) => connection.close()),
  };
}

type Call = { path: string; message: Uint8Array; ok: boolean; body: Buffer[]; resolve: (answer: Buffer) => void; reject: (error: Error) => void };

function open({ hostname, port, host }: URL, token: string, protocol: Protocol): Caller {
  const headers = new Map<string, Buffer>();
  const underway = new Map<number, Call>();
  const waiting: Call[] = [];
  let [stream, room, maxStreams, received] = [1, FIRST_WINDOW, 0, 0];
  let gone: ConnectError | undefined;
  // What one turn of the event loop has to say leaves in one piece.
  let outgoing: Buffer[] = [];
  let flushing: NodeJS.Immediate | undefined;
  const say = (bytes: Buffer) => {
    outgoing.push(bytes);
    flushing ??= setImmediate(flush);
  };
  const flush = () => {
    flushing = undefined;
    socket.write(Buffer.concat(outgoing));
    outgoing = [];
  };

  const socket = connect({ host: hostname, port: Number(port || 80), noDelay: true });
  socket.setTimeout(SILENCE_MS, () => underway.size > 0 && socket.destroy(new Error(`no word for ${SILENCE_MS} ms`)));
  socket.once('error', (error) => lose(error.message));
  socket.once('close', () => lose('the connection was closed'));
  socket.on('data', createFrameReader(take));
  say(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, settings({ [SETTING.enablePush]: 0, [SETTING.initialWindowSize]: OUR_WINDOW })), windowUpdate(OUR_WINDOW - FIRST_WINDOW)]));

  const start = () => {
    for (let call = waiting[0]; call !== undefined && underway.size < maxStreams && call.message.length <= room; call = waiting[0]) {
      waiting.shift();
      let block = headers.get(call.path);
      if (block === undefined) headers.set(call.path, (block = headersFor(host, call.path, token, protocol)));
      room -= call.message.length;
      underway.set(stream, call);
      say(callFrames(stream, block, call.message));
      stream += 2;
    }
  };
  const lose = (reason: string) => {
    gone ??= new ConnectError(reason, Code.Unavailable);
    for (const call of [...underway.values(), ...waiting.splice(0)]) call.reject(gone);
    underway.clear();
  };

  function take(said: Frame): void {
    switch (said.type) {
      case FRAME.headers:
      case FRAME.data:
        return takeAnswer(said);
      case FRAME.settings:
        if (said.flags & ACK) return;
        // The first ones say how many calls it takes at once; until then none are made.
        maxStreams ||= Infinity;
        for (const [id, value] of readSettings(said.payload)) if (id === SETTING.maxConcurrentStreams) maxStreams = value;
        say(frame(FRAME.settings, ACK, 0, Buffer.alloc(0)));
        return start();
      case FRAME.ping:
        return said.flags & ACK ? undefined : say(frame(FRAME.ping, ACK, 0, said.payload));
      case FRAME.windowUpdate:
        if (said.stream === 0) room += said.payload.readUInt32BE(0);
        return start();
      case FRAME.reset:
        return end(said.stream, (call) => call.reject(new ConnectError('the server broke the call off', Code.Unavailable)));
      case FRAME.goAway:
        return lose('the server is going away');
      default:
        return undefined; // priorities and the like ask nothing of us
    }
  }

  function takeAnswer(part: Frame): void {
    const call = underway.get(part.stream);
    if (part.type === FRAME.data) {
      received += part.payload.length;
      call?.body.push(dataOf(part));
      if (received >= REFILL) {
        say(windowUpdate(received));
        received = 0;
      }
    } else if (call) call.ok ||= saysOk(part);
    if (endsStream(part)) end(part.stream, (answered) => answer(answered, protocol));
  }

  function end(id: number, how: (call: Call) => void): void {
    const call = underway.get(id);
    underway.delete(id);
    if (call) how(call);
    start();
  }

  return {
    call: (path, message) =>
      new Promise((resolve, reject) => {
        if (gone) return reject(gone);
        waiting.push({ path, message: protocol.wrap(message), ok: false, body: [], resolve, reject });
        start();
      }),
    close: () => socket.destroy(),
  };
}

function answer({ ok, body, resolve, reject }: Call, protocol: Protocol): void {
  try {
    resolve(protocol.unwrap(ok, body.length === 1 ? (body[0] as Buffer) : Buffer.concat(body)));
  } catch (error) {
    reject(error as Error);
  }
}

function headersFor(host: string, path: string, token: string, protocol: Protocol): Buffer {
  return headerBlock(host, path, { ...protocol.headers, authorization: `Bearer ${token}`, 'user-agent': 'millrace-bench' });
}

function windowUpdate(bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(FRAME.windowUpdate, 0, 0, payload);
}
