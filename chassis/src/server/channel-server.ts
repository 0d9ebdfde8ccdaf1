// The answering end of a channel.
import { type IncomingHttpHeaders, type ServerHttp2Stream, constants } from 'node:http2';
import { create, fromBinary } from '@bufbuild/protobuf';
import { sizeDelimitedEncode } from '@bufbuild/protobuf/wire';
import { AnswerBundleSchema, type BundledAnswer, BundledAnswerSchema, type BundledCall, CallBundleSchema } from '@millrace/gen/millrace/ops/v1/bundle_pb.js';
import { InFlight } from '../flow/in-flight.ts';
import { CHANNEL_PATH, CHANNEL_TYPE, Cutter, IDLE_MS, MAX_BUNDLED, MAX_BUNDLE_BYTES, MAX_UNDER_WAY, SAID, bundlesOf, recordOf } from './channel.ts';
import { hasHost, hostOf } from './node-request.ts';
import type { Answer } from './unary-protocols.ts';
import type { Asked } from './unary.ts';

/** A bundle takes longer only when somebody holds it back. */
const BUNDLE_MS = 10_000;
/** Whoever asks closes an idle channel first. */
const SERVER_IDLE_MS = IDLE_MS + 15_000;
/** What the other side gets to close its half when all has been said. */
const LAST_WORDS_MS = 1_000;

/** Answers how to say that the caller has gone; undefined when nothing serves the path. */
export type CarryOut = (path: string, asked: Asked) => (() => void) | undefined;

export function createChannels(carryOut: CarryOut, stopping: AbortSignal) {
  const open = new InFlight<Served>();
  stopping.addEventListener('abort', () => {
    for (const served of open) served.stop();
  }, { once: true });

  return {
    /** Serves a channel; false when the request is none. */
    serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
      if (headers[':path'] !== CHANNEL_PATH || headers[':method'] !== 'POST' || !hasHost(headers)) return false;
      const served = new Served(stream, hostOf(headers), carryOut);
      stream.once('close', open.add(served));
      if (stopping.aborted) served.stop();
      return true;
    },
  };
}

class Served {
  readonly #host: string | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #carryOut: CarryOut;
  readonly #calls: Cutter;
  readonly #idle: NodeJS.Timeout;
  #late: NodeJS.Timeout | undefined;
  /** How to say to the calls under way that nobody waits for them, by their numbers. */
  readonly #underWay: ((() => void) | undefined)[] = [];
  #left = 0;
  #ready: BundledAnswer[] = [];
  #isStopping = false;
  #isOver = false;

  constructor(stream: ServerHttp2Stream, host: string | undefined, carryOut: CarryOut) {
    this.#host = host;
    this.#stream = stream;
    this.#carryOut = carryOut;
    this.#calls = new Cutter(MAX_BUNDLE_BYTES, (message) => this.#take(message));
    this.#idle = setTimeout(() => (this.#left === 0 ? this.stop() : this.#idle.refresh()), SERVER_IDLE_MS).unref();
    // Whoever calls shows it with each call; nobody has to show anything here.
    stream.respond({ ':status': 200, 'content-type': CHANNEL_TYPE });
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.once('end', () => this.stop());
    stream.once('close', () => this.#close());
  }

  /** No more calls; those under way are answered. */
  stop(): void {
    this.#isStopping = true;
    if (this.#left === 0 && this.#ready.length === 0) this.#end();
  }

  #read(chunk: Buffer): void {
    this.#idle.refresh();
    try {
      this.#calls.push(chunk);
    } catch {
      // Whoever speaks like this is none of ours, or is broken; what it has under way gets no answer.
      return this.#stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
    }
    if (!this.#calls.isInside) this.#inTime();
    else this.#late ??= setTimeout(() => this.#stream.close(constants.NGHTTP2_CANCEL), BUNDLE_MS);
  }

  #inTime(): void {
    clearTimeout(this.#late);
    this.#late = undefined;
  }

  #take(message: Uint8Array): void {
    this.#inTime();
    const { calls, gone } = fromBinary(CallBundleSchema, message);
    if (calls.length > MAX_BUNDLED) throw new Error(`a bundle of ${calls.length} calls`);
    for (const call of calls) this.#carry(call);
    for (const number of gone) {
      const tell = this.#underWay[number];
      if (tell === undefined) continue;
      tell();
      this.#answer(number, { status: SAID.GONE });
    }
  }

  #carry(call: BundledCall): void {
    const { call: number } = call;
    if (number >= MAX_UNDER_WAY || this.#underWay[number] !== undefined) throw new Error(`call ${number} is none, or already under way`);
    this.#left += 1;
    this.#underWay[number] = nobody;
    const tell = this.#isStopping ? undefined : this.#carryOut(call.path, this.#asked(call));
    if (tell === undefined) return this.#answer(number, { status: SAID.UNSEEN });
    // It may have been refused at once.
    if (this.#underWay[number] === nobody) this.#underWay[number] = tell;
  }

  #asked({ call, path, headers, body }: BundledCall): Asked {
    return {
      url: `http://${this.#host}${path}`,
      headers: recordOf(headers),
      body: async () => body,
      answer: (answer) => this.#answer(call, answer),
    };
  }

  #answer(call: number, answer: Pick<Answer, 'status'> & Partial<Answer>): void {
    if (this.#isOver || this.#underWay[call] === undefined) return;
    this.#underWay[call] = undefined;
    this.#left -= 1;
    // The end of the event-loop turn, so that all answers of this turn travel together.
    if (this.#ready.push(create(BundledAnswerSchema, { call, ...answer })) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    if (this.#isOver) return;
    const ready = this.#ready;
    this.#ready = [];
    for (const answers of bundlesOf(ready, ({ body }) => body.length)) this.#write({ answers });
    if (this.#isStopping && this.#left === 0) this.#end();
  }

  #write(bundle: { answers?: BundledAnswer[]; last?: boolean }): void {
    this.#stream.write(sizeDelimitedEncode(AnswerBundleSchema, create(AnswerBundleSchema, bundle)));
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#write({ last: true });
    this.#stream.end();
    if (this.#stream.readableEnded) return;
    // Not at once: a reset that overtakes the answers would be all that the other side sees.
    const late = setTimeout(() => this.#stream.close(constants.NGHTTP2_NO_ERROR), LAST_WORDS_MS);
    this.#stream.once('close', () => clearTimeout(late));
  }

  #close(): void {
    this.#isOver = true;
    clearTimeout(this.#idle);
    this.#inTime();
    for (const tell of this.#underWay) tell?.();
  }
}

function nobody(): void {}
