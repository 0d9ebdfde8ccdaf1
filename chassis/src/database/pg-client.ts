// One connection to Postgres.
import pg from 'pg';

type Result = pg.QueryResult;
/** pg's own shape: of the two, the one that is there. */
type Answer = (error: Error, result: Result) => void;
type Question = string | pg.QueryConfig;

/**
 * Asks as pg's own client does, with callbacks that are ordinary objects. Those that pg hangs on each query are functions assigned to a
 * property, which V8 takes for methods and makes in its old generation: statement, parameters and rows stay with them until a major collection.
 */
export class PgClient extends pg.Client {
  readonly #timeoutMs: number | undefined;

  constructor({ query_timeout: timeoutMs, ...config }: pg.ClientConfig = {}) {
    super(config);
    this.#timeoutMs = timeoutMs;
  }

  // As pg has it: with a callback, or answering a promise. No type but `never` fits each of its overloads.
  override query(question: Question | pg.Submittable, values?: unknown[] | Answer, callback?: Answer): never {
    return this.#query(question, values, callback) as never;
  }

  #query(question: Question | pg.Submittable, values?: unknown[] | Answer, callback?: Answer): unknown {
    if (typeof question === 'object' && 'submit' in question) return super.query(question);
    const [parameters, answer] = typeof values === 'function' ? [undefined, values] : [values, callback];
    if (answer) return this.#ask(question, parameters, answer);
    return new Promise<Result>((resolve, reject) => this.#ask(question, parameters, (error, result) => (error ? reject(error) : resolve(result))));
  }

  #ask(question: Question, values: unknown[] | undefined, answer: Answer): void {
    let timer: NodeJS.Timeout | undefined;
    let isLate = false;
    super.query(new Asked(question, values, (error, result) => {
      clearTimeout(timer);
      if (!isLate) answer(error, result);
    }));
    if (this.#timeoutMs === undefined) return;
    timer = setTimeout(() => {
      isLate = true;
      // What was asked behind it waits as well.
      this.connection.stream.destroy();
      answer(new Error('Query read timeout'), undefined as never);
    }, this.#timeoutMs);
  }
}

/** pg's query; its types leave the parameters out. */
const Asked = pg.Query as unknown as new (question: Question, values: unknown[] | undefined, answer: Answer) => pg.Submittable;
