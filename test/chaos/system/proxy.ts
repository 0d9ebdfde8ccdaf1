// A TCP proxy that misbehaves on request: slow, silent, resetting, or losing the answer to a request that was carried out.
import { createServer, type Socket, connect } from 'node:net';

export type Fault =
  | { kind: 'none' }
  /** Every chunk waits this long, in both directions. */
  | { kind: 'latency'; ms: () => number }
  /** Bytes stop; they arrive after the healing, as TCP would send them again. `to` and `from` are as the caller sees the server. */
  | { kind: 'blackhole'; direction: 'both' | 'to' | 'from' }
  /** Connections are reset, old ones and new ones. */
  | { kind: 'reset' }
  /** The upstream carried out a request whose head `loses` picks, and answered 200; its answer is never seen. */
  | { kind: 'lost_reply'; loses: (head: string) => boolean };

export type Proxy = {
  name: string;
  port: number;
  /** From now on. Earlier blackholes open. */
  set(fault: Fault): void;
  /** How often the present and earlier faults hit something. */
  hits(): number;
  close(): Promise<void>;
};

const HOST = '127.0.0.1';
const NONE: Fault = { kind: 'none' };
const MAX_HEAD_BYTES = 4_096;

export async function startProxy(name: string, upstreamPort: number): Promise<Proxy> {
  let fault: Fault = NONE;
  let hits = 0;
  const pairs = new Set<Pair>();
  const server = createServer((client) => {
    if (fault.kind === 'reset') {
      hits += 1;
      client.resetAndDestroy();
      return;
    }
    const pair = join(client);
    pairs.add(pair);
    pair.closed = () => pairs.delete(pair);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, HOST, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    name,
    port: address.port,
    set(next) {
      fault = next;
      for (const pair of pairs) {
        if (next.kind === 'reset') {
          hits += 1;
          pair.reset();
        } else pair.flush();
      }
    },
    hits: () => hits,
    close: async () => {
      for (const pair of pairs) pair.reset();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };

  function join(client: Socket): Pair {
    const upstream = connect(upstreamPort, HOST);
    const pair: Pair = { closed: () => {}, reset, flush: () => lanes.forEach((lane) => lane.pump()) };
    let losing = false;
    const lanes = [
      lane(client, upstream, 'to', (chunk) => {
        if (fault.kind === 'lost_reply' && fault.loses(chunk.toString('latin1', 0, MAX_HEAD_BYTES))) losing = true;
        return true;
      }),
      lane(upstream, client, 'from', (chunk) => {
        if (!losing) return true;
        losing = false;
        if (!chunk.toString('latin1', 0, 20).startsWith('HTTP/1.1 200')) return true;
        hits += 1;
        reset();
        return false;
      }),
    ];
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', reset).on('close', () => pair.closed());
    }
    return pair;

    function reset(): void {
      for (const socket of [client, upstream]) {
        // Node can't reset what is ending already: the socket would stay, and the process with it.
        if (socket.writableEnded) socket.destroy();
        else if (!socket.destroyed) socket.resetAndDestroy();
      }
    }
  }

  // One direction: chunks in order, each when the present fault lets it through.
  function lane(source: Socket, sink: Socket, direction: 'to' | 'from', allow: (chunk: Buffer) => boolean): { pump(): void } {
    const waiting: { chunk: Buffer | undefined; due: number }[] = [];
    let timer: NodeJS.Timeout | undefined;
    let held = false;
    const blocked = (): boolean => fault.kind === 'blackhole' && (fault.direction === 'both' || fault.direction === direction);
    const pump = (): void => {
      clearTimeout(timer);
      while (waiting[0] !== undefined && !blocked()) {
        const [{ chunk, due }] = waiting as [{ chunk: Buffer | undefined; due: number }];
        const wait = due - performance.now();
        if (wait > 0) {
          timer = setTimeout(pump, wait);
          return;
        }
        waiting.shift();
        if (chunk === undefined) sink.end();
        else if (!sink.destroyed && allow(chunk) && !sink.write(chunk)) source.pause();
      }
      if (waiting.length === 0 && held) {
        held = false;
        source.resume();
      }
    };
    const push = (chunk: Buffer | undefined): void => {
      const slow = fault.kind === 'latency' && chunk !== undefined;
      if (slow || (blocked() && chunk !== undefined)) hits += 1;
      const earliest = waiting.at(-1)?.due ?? 0;
      waiting.push({ chunk, due: Math.max(earliest, slow && fault.kind === 'latency' ? performance.now() + fault.ms() : 0) });
      // A lost packet is not read any further either: the sender's window fills up.
      if (blocked()) {
        held = true;
        source.pause();
      }
      pump();
    };
    source.on('data', push).on('end', () => push(undefined));
    sink.on('drain', () => {
      if (!held) source.resume();
    });
    return { pump };
  }
}

type Pair = { closed: () => void; reset(): void; flush(): void };
