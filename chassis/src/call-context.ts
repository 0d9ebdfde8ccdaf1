// What a handler is told of its call.
import type { DescMethodUnary } from '@bufbuild/protobuf';
import { type HandlerContext, createContextValues } from '@connectrpc/connect';

/** What of a call is only looked at when a handler asks. */
export type Particulars = { url: string; headers: () => Headers };

/**
 * What few handlers ask for is made when they do. A class, because V8 makes a literal's getters in its old generation: those of one call
 * would keep all of it until a major collection.
 */
export class CallContext implements HandlerContext {
  readonly method: DescMethodUnary;
  /** How long the call may take. */
  readonly limitMs: number;
  readonly requestMethod = 'POST';
  readonly protocolName = 'connect';
  readonly values = createContextValues();
  readonly #asked: Particulars;
  readonly #startedAt = performance.now();
  #isOver = false;
  #reason: Error | undefined;
  #controller: AbortController | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #trailer: Headers | undefined;

  constructor(method: DescMethodUnary, asked: Particulars, limitMs: number) {
    this.method = method;
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
    return (this.#requestHeader ??= this.#asked.headers());
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
  responseHeaders(): Headers | undefined {
    for (const [name, value] of this.#trailer ?? []) this.responseHeader.append(`trailer-${name}`, value);
    return this.#responseHeader;
  }
}
