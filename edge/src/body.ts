// Whole request bodies: a unary call goes to the service only when all of it is here, so that a slow caller holds
// a place at the edge and none at the service, and so that it can be sent again when the service never saw it.
import { DEADLINES } from '@millrace/chassis/api/deadline';
import { refuse } from '@millrace/chassis/api/errors';
import { type Req, isBroken } from './http.ts';

/** One message of at most 1 MiB, the services' limit, and its envelope. */
export const MAX_BODY_BYTES = 1024 * 1024 + 1024;
/** A message of this size takes longer on a bad line only when somebody holds it back. */
const BODY_MS = Math.min(10_000, DEADLINES.unaryMs);
/** Of all bodies that wait or are on their way. */
const MAX_HELD_BYTES = 256 * 1024 * 1024;
const RETRY_MS = 500;

export type Bodies = {
  /** Undefined when the caller has gone. Throws what the caller is to be told. */
  read(req: Req): Promise<{ bytes: Buffer; release: () => void } | undefined>;
};

export function createBodies({ bodyMs = BODY_MS, maxHeldBytes = MAX_HELD_BYTES } = {}): Bodies {
  let held = 0;
  return {
    read(req) {
      const { promise, resolve, reject } = Promise.withResolvers<{ bytes: Buffer; release: () => void } | undefined>();
      const chunks: Buffer[] = [];
      let size = 0;
      const release = () => {
        held -= size;
        size = 0;
      };
      const settle = (outcome: 'whole' | 'gone' | Error) => {
        clearTimeout(timer);
        req.off('data', take).off('end', end).off('close', gone);
        if (outcome === 'whole') return resolve({ bytes: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks), release });
        release();
        if (outcome === 'gone') resolve(undefined);
        else reject(outcome);
      };
      const take = (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        held += chunk.length;
        if (size > MAX_BODY_BYTES) settle(refuse('MESSAGE_TOO_LARGE', `the message is larger than ${MAX_BODY_BYTES} bytes`));
        else if (held > maxHeldBytes) settle(refuse('OVERLOADED', 'too many large messages at once', {}, RETRY_MS));
      };
      const end = () => settle(isBroken(req) ? 'gone' : 'whole');
      const gone = () => settle('gone');
      const timer = setTimeout(() => settle(refuse('DEADLINE_EXCEEDED', 'the message did not arrive in time')), bodyMs);
      req.on('data', take).once('end', end).once('close', gone);
      // Without a listener the error of a broken request would end the process.
      req.on('error', () => {});
      return promise;
    },
  };
}
