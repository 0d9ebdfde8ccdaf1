// The other end of unary.ts. A call goes through the channel that its process has to the other; one that is too large for it, or that the other
// side doesn't take there, is a POST of its own. Through connect-es a call makes three times as many objects, most of which live on until a
// major collection. Streams are connect-es's, as is the session that all share.
import { type ClientHttp2Stream, type IncomingHttpHeaders, constants } from 'node:http2';
import { type DescMessage, type DescMethodUnary, type MessageInitShape, type MessageShape, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, type UnaryResponse, appendHeaders } from '@connectrpc/connect';
import type { Http2SessionManager } from '@connectrpc/connect-node';
import { codeFromHttpStatus, contentTypeUnaryJson, contentTypeUnaryProto, errorFromJsonBytes, trailerDemux } from '@connectrpc/connect/protocol-connect';
import type { BundledAnswer } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import { MAX_BUNDLED_BYTES, recordOf } from '../server/channel.ts';
import { headersOf } from '../server/node-request.ts';
import type { Channel } from './channel-client.ts';
import { letGo } from './let-go.ts';

/** The ways to one neighbour. */
export type Ways = { sessions: Http2SessionManager; channel: Channel };
/** One call, as it goes out. */
type Sending = { path: string; headers: Record<string, string>; body: Uint8Array; timeoutMs: number; signal: AbortSignal | undefined; maxBytes: number };
type Answer = { status: number; headers: IncomingHttpHeaders; body: Uint8Array };

export async function callUnary<I extends DescMessage, O extends DescMessage>(
  ways: Ways, method: DescMethodUnary<I, O>, input: MessageInitShape<I>, sending: Omit<Sending, 'path' | 'body'>,
): Promise<UnaryResponse<I, O>> {
  const answer = await send(ways, {
    ...sending,
    path: `/${method.parent.typeName}/${method.name}`,
    headers: { ...sending.headers, 'content-type': contentTypeUnaryProto, 'connect-protocol-version': '1', 'connect-timeout-ms': String(Math.ceil(sending.timeoutMs)) },
    body: toBinary(method.input, create(method.input, input)),
  });
  return new Received(method, answer, decoded(method.output, answer));
}

/** Resolves when all of the answer is there; what went wrong on the way is a ConnectError with its cause. */
function send({ sessions, channel }: Ways, sending: Sending): Promise<Answer> {
  const { path, body, timeoutMs, signal, maxBytes } = sending;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  let giveUp = (): void => {};
  const waiting: Waiting = {
    isOver: false,
    end(answer) {
      if (waiting.isOver) return;
      waiting.isOver = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      if (!(answer instanceof ConnectError)) return resolve(answer);
      reject(answer);
      giveUp();
    },
  };
  const onAbort = () => waiting.end(ConnectError.from(signal?.reason, Code.Canceled));
  const timer = setTimeout(() => waiting.end(new ConnectError('the operation timed out', Code.DeadlineExceeded)), timeoutMs);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort);
  if (waiting.isOver) return promise;

  const alone = () => (giveUp = sendAlone(sessions, sending, waiting));
  if (body.length > MAX_BUNDLED_BYTES) alone();
  else giveUp = channel.send({ path, headers: Object.entries(sending.headers).flat(), body }, (how) => {
    if (how.kind === 'answered') waiting.end(answerOf(how.answer, maxBytes));
    else if (how.kind === 'broke') waiting.end(broken(how.code, how.cause));
    else if (how.cause === undefined) alone();
    else waiting.end(ConnectError.from(how.cause, Code.Unavailable));
  });
  return promise;
}

type Waiting = { isOver: boolean; end(answer: Answer | ConnectError): void };

function answerOf({ status, headers, body }: BundledAnswer, maxBytes: number): Answer | ConnectError {
  return body.length > maxBytes ? tooLarge(maxBytes) : { status, headers: recordOf(headers), body };
}

/** A stream of its own. Answers how to break it off. */
function sendAlone(sessions: Http2SessionManager, { path, headers, body, maxBytes }: Sending, waiting: Waiting): () => void {
  let stream: ClientHttp2Stream | undefined;
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
      if (length > maxBytes) waiting.end(tooLarge(maxBytes));
      else chunks.push(chunk);
    });
    opened.once('end', () => {
      // A reset ends the stream too.
      if (received === undefined || opened.rstCode !== constants.NGHTTP2_NO_ERROR) return;
      waiting.end({ status: Number(received[':status']), headers: received, body: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks) });
    });
    opened.once('close', () => {
      waiting.end(broken(opened.rstCode, cause));
      letGo(opened);
    });
    if (waiting.isOver) opened.close(constants.NGHTTP2_CANCEL);
    else opened.end(body);
  };
  sessions.request('POST', path, headers, {}).then(carry).catch((error: unknown) => waiting.end(ConnectError.from(error, Code.Unavailable)));
  return () => stream?.close(constants.NGHTTP2_CANCEL);
}

function tooLarge(maxBytes: number): ConnectError {
  return new ConnectError(`the answer is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
}

// Only of a refused stream is it known that no handler has seen it.
function broken(code: number, cause: unknown): ConnectError {
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
