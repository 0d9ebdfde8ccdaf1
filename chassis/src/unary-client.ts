// The other end of unary.ts: a POST and its answer. Through connect-es a call makes three times as many objects, most of which live on until
// a major collection. Streams are connect-es's, as is the session that both share.
import { type ClientHttp2Stream, type IncomingHttpHeaders, constants } from 'node:http2';
import { type DescMessage, type DescMethodUnary, type MessageInitShape, type MessageShape, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, type UnaryResponse, appendHeaders } from '@connectrpc/connect';
import type { Http2SessionManager } from '@connectrpc/connect-node';
import { codeFromHttpStatus, contentTypeUnaryJson, contentTypeUnaryProto, errorFromJsonBytes, trailerDemux } from '@connectrpc/connect/protocol-connect';
import { letGo } from './let-go.ts';
import { headersOf } from './node-request.ts';

/** One call, as it goes out. */
type Sending = { path: string; headers: Record<string, string>; body: Uint8Array; timeoutMs: number; signal: AbortSignal | undefined; maxBytes: number };
type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer };

export async function callUnary<I extends DescMessage, O extends DescMessage>(
  sessions: Http2SessionManager, method: DescMethodUnary<I, O>, input: MessageInitShape<I>, sending: Omit<Sending, 'path' | 'body'>,
): Promise<UnaryResponse<I, O>> {
  const { timeoutMs } = sending;
  const answer = await send(sessions, {
    ...sending,
    path: `/${method.parent.typeName}/${method.name}`,
    headers: { ...sending.headers, 'content-type': contentTypeUnaryProto, 'connect-protocol-version': '1', 'connect-timeout-ms': String(Math.ceil(timeoutMs)) },
    body: toBinary(method.input, create(method.input, input)),
  });
  return new Received(method, answer, decoded(method.output, answer));
}

/** Resolves when all of the answer is there; what went wrong on the way is a ConnectError with its cause. */
function send(sessions: Http2SessionManager, { path, headers, body, timeoutMs, signal, maxBytes }: Sending): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  let stream: ClientHttp2Stream | undefined;
  let over = false;
  const end = () => {
    over = true;
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  const fail = (error: ConnectError) => {
    if (over) return;
    end();
    reject(error);
    stream?.close(constants.NGHTTP2_CANCEL);
  };
  const onAbort = () => fail(ConnectError.from(signal?.reason, Code.Canceled));
  const timer = setTimeout(() => fail(new ConnectError('the operation timed out', Code.DeadlineExceeded)), timeoutMs);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort);

  const carry = (opened: ClientHttp2Stream) => {
    stream = opened;
    let received: IncomingHttpHeaders | undefined;
    let cause: Error | undefined;
    const chunks: Buffer[] = [];
    let length = 0;
    opened.on('error', (error) => (cause = error));
    opened.once('response', (answered) => void (received = answered));
    opened.on('data', (chunk: Buffer) => {
      sessions.notifyResponseByteRead(opened);
      length += chunk.length;
      if (length > maxBytes) fail(new ConnectError(`the answer is larger than ${maxBytes} bytes`, Code.ResourceExhausted));
      else chunks.push(chunk);
    });
    opened.once('end', () => {
      // A reset ends the stream too.
      if (over || received === undefined || opened.rstCode !== constants.NGHTTP2_NO_ERROR) return;
      end();
      resolve({ status: Number(received[':status']), headers: received, body: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks) });
    });
    opened.once('close', () => {
      if (!over) fail(broken(opened.rstCode, cause));
      letGo(opened);
    });
    if (over) opened.close(constants.NGHTTP2_CANCEL);
    else opened.end(body);
  };
  if (!over) sessions.request('POST', path, headers, {}).then(carry).catch((error: unknown) => fail(ConnectError.from(error, Code.Unavailable)));
  return promise;
}

// Only of a refused stream is it known that no handler has seen it.
function broken(code: number, cause: Error | undefined): ConnectError {
  const name = code === constants.NGHTTP2_REFUSED_STREAM ? 'REFUSED_STREAM' : String(code);
  return new ConnectError(`http/2 stream closed with error code ${name}`, Code.Unavailable, undefined, undefined, cause);
}

function decoded<O extends DescMessage>(output: O, { status, headers, body }: Answer): MessageShape<O> {
  const type = headers['content-type'] ?? '';
  if (status !== 200) {
    const fallback = new ConnectError(`HTTP ${status}`, codeFromHttpStatus(status));
    throw type.startsWith(contentTypeUnaryJson) ? errorFromJsonBytes(body, appendHeaders(...trailerDemux(headersOf({ headers }))), fallback) : fallback;
  }
  if (type !== contentTypeUnaryProto) throw new ConnectError(`unsupported content type ${type}`, Code.Internal);
  try {
    return fromBinary(output, body);
  } catch (cause) {
    throw new ConnectError('the answer could not be decoded', Code.Internal, undefined, undefined, cause);
  }
}

/** Headers are made of it when somebody asks. */
class Received<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  readonly stream = false;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;
  readonly #answer: Answer;

  constructor(method: DescMethodUnary<I, O>, answer: Answer, message: MessageShape<O>) {
    this.method = method;
    this.message = message;
    this.#answer = answer;
  }
  get service() {
    return this.method.parent;
  }
  get header(): Headers {
    return trailerDemux(headersOf(this.#answer))[0];
  }
  get trailer(): Headers {
    return trailerDemux(headersOf(this.#answer))[1];
  }
}
