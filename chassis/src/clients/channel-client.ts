// The asking end of a channel.
import { type ClientHttp2Stream, constants } from 'node:http2';
import { create, fromBinary } from '@bufbuild/protobuf';
import { sizeDelimitedEncode } from '@bufbuild/protobuf/wire';
import { AnswerBundleSchema, type BundledAnswer, BundledCallSchema, CallBundleSchema } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import { Cutter, IDLE_MS, MAX_UNDER_WAY, SAID, bundlesOf } from '../server/channel.ts';

export type ChannelCall = { path: string; /** Names, in lower case, and values by turns. */ headers: string[]; body: Uint8Array };

/** What became of a call. `unseen`: the other side has not looked at it; with a `cause` when it can't be reached at all. */
export type Carried = { kind: 'answered'; answer: BundledAnswer } | { kind: 'unseen'; cause?: unknown } | { kind: 'broke'; code: number; cause: unknown };

export type Channel = {
  /** `settle` is called once, unless the call is given up with what this answers. */
  send(call: ChannelCall, settle: (how: Carried) => void): () => void;
  /** Calls under way are still answered. */
  close(): void;
};

/** A stream that is older makes room for the next, so that a balancer between the two can choose again, and new instances get their share. */
const MAX_AGE_MS = 10_000;
/** How long calls travel alone after the other side has said that it knows no channels. */
const REFUSED_FOR_MS = 10_000;
/** Of answers: as much as the largest page of products or of orders, several times. */
const MAX_ANSWERS_BYTES = 134_217_728;

const UNSEEN: Carried = { kind: 'unseen' };
const nobody = (): void => {};

export type ChannelOptions = {
  /** When those that were gathered leave. By default at the end of the event-loop turn, so that all calls of this turn travel together. */
  gather?: (leave: () => void) => void;
  maxAgeMs?: number;
};

/** `open` opens a stream: a POST to CHANNEL_PATH. */
export function createChannel(open: () => Promise<ClientHttp2Stream>, { gather = setImmediate, maxAgeMs = MAX_AGE_MS }: ChannelOptions = {}): Channel {
  let line: Line | undefined;
  let refusedUntil = 0;
  let gathered: Waiting[] = [];

  const leave = () => {
    const calls = gathered;
    gathered = [];
    if (line && !line.isOver && line.age() > maxAgeMs) line.end();
    if (line === undefined || line.isOver) line = new Line(open(), () => (refusedUntil = performance.now() + REFUSED_FOR_MS));
    for (const bundle of bundlesOf(calls, bytesOf)) line.send(bundle);
  };

  return {
    send(call, settle) {
      const waiting: Waiting = { call, settle, line: undefined, number: 0 };
      if (performance.now() < refusedUntil) queueMicrotask(() => waiting.settle(UNSEEN));
      else if (gathered.push(waiting) === 1) gather(leave);
      return () => {
        waiting.settle = nobody;
        waiting.line?.giveUp(waiting.number);
      };
    },
    close() {
      line?.end();
    },
  };
}

type Waiting = { call: ChannelCall; settle: (how: Carried) => void; line: Line | undefined; number: number };

/** One stream, from its opening to its end. */
class Line {
  readonly #opening: Promise<ClientHttp2Stream>;
  readonly #onRefused: () => void;
  readonly #idle: NodeJS.Timeout;
  readonly #openedAt = performance.now();
  #stream: ClientHttp2Stream | undefined;
  /** By their numbers. A place is taken until its answer has come, also when nobody waits for it any more. */
  readonly #places: (Waiting | undefined)[] = [];
  readonly #free: number[] = [];
  #underWay = 0;
  #isOver = false;
  #cause: unknown;

  constructor(opening: Promise<ClientHttp2Stream>, onRefused: () => void) {
    this.#opening = opening.then((stream) => this.#carry(stream));
    this.#opening.catch((error: unknown) => this.#finish({ kind: 'unseen', cause: error }));
    this.#onRefused = onRefused;
    this.#idle = setTimeout(() => (this.#underWay === 0 ? this.end() : this.#idle.refresh()), IDLE_MS).unref();
  }

  /** Whether it takes no more calls. */
  get isOver(): boolean {
    return this.#isOver;
  }

  age(): number {
    return performance.now() - this.#openedAt;
  }

  send(calls: Waiting[]): void {
    const taken = calls.filter((waiting) => this.#take(waiting));
    if (taken.length === 0) return;
    this.#idle.refresh();
    const bundle = create(CallBundleSchema, { calls: taken.map(({ call: { path, headers, body }, number }) => create(BundledCallSchema, { call: number, path, headers, body })) });
    this.#write(sizeDelimitedEncode(CallBundleSchema, bundle));
  }

  giveUp(number: number): void {
    this.#write(sizeDelimitedEncode(CallBundleSchema, create(CallBundleSchema, { gone: [number] })));
  }

  /** No more calls; the stream ends with the answer to the last. */
  end(): void {
    this.#isOver = true;
    clearTimeout(this.#idle);
    if (this.#underWay === 0) void this.#opening.then((stream) => stream.end(), nobody);
  }

  #write(bytes: Uint8Array): void {
    if (this.#stream) this.#stream.write(bytes);
    else this.#opening.then((stream) => stream.write(bytes), nobody);
  }

  #take(waiting: Waiting): boolean {
    if (waiting.settle === nobody) return false;
    if (this.#isOver || this.#underWay === MAX_UNDER_WAY) {
      waiting.settle(UNSEEN);
      return false;
    }
    // An open stream must not keep a process alive that waits for nothing.
    if (this.#underWay === 0) this.#stream?.session?.ref();
    this.#underWay += 1;
    waiting.line = this;
    waiting.number = this.#free.pop() ?? this.#places.length;
    this.#places[waiting.number] = waiting;
    return true;
  }

  #settle(number: number, how: Carried): void {
    const waiting = this.#places[number];
    if (waiting === undefined) return;
    this.#places[number] = undefined;
    this.#free.push(number);
    this.#underWay -= 1;
    if (this.#underWay === 0) {
      this.#stream?.session?.unref();
      if (this.#isOver) this.end();
    }
    waiting.line = undefined;
    waiting.settle(how);
  }

  #finish(how: Carried): void {
    this.#isOver = true;
    clearTimeout(this.#idle);
    for (const number of this.#places.keys()) this.#settle(number, how);
  }

  #carry(stream: ClientHttp2Stream): ClientHttp2Stream {
    this.#stream = stream;
    const answers = new Cutter(MAX_ANSWERS_BYTES, (message) => this.#read(message));
    stream.once('response', ({ ':status': status = 0 }) => {
      if (status === 200) return;
      this.#onRefused();
      // A fault is said by somebody in between: of what the other side has looked at, nobody knows.
      this.#finish(status < 500 ? UNSEEN : { kind: 'broke', code: constants.NGHTTP2_NO_ERROR, cause: new Error(`HTTP ${status}`) });
      stream.close();
    });
    stream.on('data', (chunk: Buffer) => {
      try {
        answers.push(chunk);
      } catch (error) {
        this.#cause = error;
        stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
      }
    });
    const onOver = () => {
      const unseen = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || stream.id === undefined;
      this.#finish(unseen ? UNSEEN : { kind: 'broke', code: stream.rstCode, cause: this.#cause });
      this.end();
    };
    stream.on('error', (error) => (this.#cause = error));
    // An end without a last word is none in good order. A reset ends the stream, too.
    stream.once('end', () => {
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR) onOver();
    });
    stream.once('close', onOver);
    return stream;
  }

  #read(message: Uint8Array): void {
    const { answers, last } = fromBinary(AnswerBundleSchema, message);
    for (const answer of answers) this.#settle(answer.call, answer.status === SAID.UNSEEN ? UNSEEN : { kind: 'answered', answer });
    if (!last) return;
    this.#finish(UNSEEN);
    this.end();
  }
}

function bytesOf({ call: { path, headers, body } }: Waiting): number {
  let bytes = path.length + body.length;
  for (const text of headers) bytes += text.length;
  return bytes;
}
