// HTTP/2 and HTTP/1.1 by hand, for what no well-behaved client does.
import http2 from 'node:http2';
import net from 'node:net';

export type Answer = { status: number; headers: http2.IncomingHttpHeaders; trailers: http2.IncomingHttpHeaders; body: Buffer; code: number };

/** One HTTP/2 request on a session of its own. */
export async function request(url: string, headers: http2.OutgoingHttpHeaders, body?: Uint8Array): Promise<Answer> {
  const session = http2.connect(url);
  session.on('error', () => {});
  try {
    return await answerOf(session.request({ ':method': 'POST', ...headers }, { endStream: !body }), body);
  } finally {
    session.close();
  }
}

export async function answerOf(stream: http2.ClientHttp2Stream, body?: Uint8Array): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const answer: Answer = { status: 0, headers: {}, trailers: {}, body: Buffer.alloc(0), code: 0 };
  stream.once('response', (headers) => {
    answer.status = headers[':status'] ?? 0;
    answer.headers = headers;
  });
  stream.once('trailers', (trailers) => { answer.trailers = trailers; });
  stream.on('data', (chunk: Buffer) => { answer.body = Buffer.concat([answer.body, chunk]); });
  stream.on('error', () => {});
  stream.once('close', () => resolve({ ...answer, code: stream.rstCode }));
  if (body) stream.end(body);
  return promise;
}

/** Envelopes a message as gRPC and streaming Connect do. */
export function framed(message: string | Uint8Array): Buffer {
  const data = Buffer.from(message as string);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(data.length, 1);
  return Buffer.concat([prefix, data]);
}

/** Sends bytes as they are and gathers what comes back until the other side ends, or `ms` pass. */
export async function raw(url: string, bytes: string | Uint8Array, ms = 2_000): Promise<string> {
  const { hostname, port } = new URL(url);
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = net.connect(Number(port), hostname, () => socket.write(bytes));
  let got = '';
  socket.on('data', (chunk: Buffer) => { got += chunk.toString('latin1'); });
  socket.on('error', () => {});
  const timer = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => {
    clearTimeout(timer);
    resolve(got);
  });
  return promise;
}
