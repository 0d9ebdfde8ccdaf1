// What a handler is told of its call.
import type { DescMethodUnary } from '@bufbuild/protobuf';
import type { IncomingHttpHeaders } from 'node:http';
import { type HandlerContext, createContextValues } from '@connectrpc/connect';
import { headersOf } from './node-request.ts';
import type { Metadata } from './unary-protocols.ts';

/** What of a call is only looked at when a handler asks. */
export type Particulars = { url: string; headers: IncomingHttpHeaders };

/**
 * What few handlers ask for is made when they do. A class, because V8 makes a literal's getters in its old generation: those of one call
 * would keep all of it until a major collection.
 */
export class CallContext implements HandlerContext {
  readonly method: DescMethodUnary;
  readonly protocolName: HandlerContext['protocolName'];
  /** How long the call may take. */
  readonly limitMs: number;
  readonly requestMethod = 'POST';
  readonly values = createContextValues();
  readonly #asked: Particulars;
  readonly #startedAt = performance.now();
  #isOver = false;
  #reason: Error | undefined;
  #controller: AbortController | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #trailer: Headers | undefined;

  constructor(method: DescMethodUnary, protocolName: HandlerContext['protocolName'], asked: Particulars, limitMs: number) {
    this.method = method;
    this.protocolName = protocolName;
    this.limitMs = limitMs;
    this.#asked = asked;
  }

  get service() {
    return this.method.parent;
  }
  get url() {
    return this.#asked.url;
  }
  get isOver(): boolean {
    return this.#isOver;
  }
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isOver) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }
  get requestHeader(): Headers {
    return (this.#requestHeader ??= headersOf(this.#asked));
  }
  get responseHeader(): Headers {
    return (this.#responseHeader ??= new Headers());
  }
  get responseTrailer(): Headers {
    return (this.#trailer ??= new Headers());
  }
  timeoutMs(): number {
    return this.limitMs - (performance.now() - this.#startedAt);
  }
  end(reason: Error): void {
    [this.#isOver, this.#reason] = [true, reason];
    this.#controller?.abort(reason);
  }
  /** What the handler has set. */
  metadata(): Metadata {
    return { headers: this.#responseHeader, trailers: this.#trailer };
  }
}
