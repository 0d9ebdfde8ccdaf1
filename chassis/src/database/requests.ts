// The memory behind request_id: the same id and body get the same answer, in the transaction of the effect.

import { hash } from 'node:crypto';
import { create, fromBinary, toBinary, type DescMessage, type Message, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { callerOf, type Caller } from '../api/auth.ts';
import { refuse } from '../api/errors.ts';
import { crashPoint } from '../crash-point.ts';
import { sql, type Database, type Tx } from './db.ts';

export type RememberedCall<Req extends DescMessage, Res extends DescMessage> = {
  method: string;
  caller: Caller;
  /** Empty: nothing is remembered. */
  requestId: string;
  schema: Req;
  request: MessageShape<Req>;
  response: Res;
};

/**
 * For a service's mutating RPCs: runs the effect in one transaction, once per request id, and makes the RPC's answer of what it returns.
 */
export function createOnce(db: Database) {
  return async function once<Req extends DescMessage, Res extends DescMessage>(
    rpc: { name: string; input: Req; output: Res },
    request: MessageShape<Req> & { requestId: string },
    context: HandlerContext,
    effect: (tx: Tx, caller: Caller) => Promise<MessageInitShape<Res>>,
  ): Promise<MessageShape<Res>> {
    const caller = callerOf(context);
    const call = { method: rpc.name, caller, requestId: request.requestId, schema: rpc.input, request, response: rpc.output };
    const answer = await db.transaction((tx) => remember(tx, call, async () => create(rpc.output, await effect(tx, caller))));
    crashPoint('requests.committed');
    return answer;
  };
}

/**
 * Runs `effect` once per (method, caller, request id) and answers its stored response to repeats; a repeat with another body is refused
 * with REQUEST_ID_REUSED. A repeat that comes while the first is in flight waits for it. When the effect throws, everything rolls back
 * and the id is free again.
 */
export async function remember<Req extends DescMessage, Res extends DescMessage>(
  tx: Tx, call: RememberedCall<Req, Res>, effect: () => Promise<MessageShape<Res>>,
): Promise<MessageShape<Res>> {
  const { method, caller, requestId } = call;
  if (requestId === '') return effect();
  const print = fingerprint(call.schema, call.request);
  // Primary key; a concurrent insert of the same key waits here until the other transaction is over.
  const [mine] = await tx.query(sql`
    INSERT INTO request_memory (method, caller, request_id, fingerprint) VALUES (${method}, ${caller.subject}, ${requestId}, ${print})
    ON CONFLICT DO NOTHING RETURNING 1`);
  if (mine === undefined) {
    const [known] = await tx.query<{ fingerprint: string; response: Buffer }>(sql`
      SELECT fingerprint, response FROM request_memory WHERE method = ${method} AND caller = ${caller.subject} AND request_id = ${requestId}`);
    if (known?.fingerprint !== print) throw refuse('REQUEST_ID_REUSED', 'this request id was used with another body', { request_id: requestId });
    return fromBinary(call.response, known.response);
  }
  const answer = await effect();
  crashPoint('requests.decided');
  await tx.query(sql`
    UPDATE request_memory SET response = ${Buffer.from(toBinary(call.response, answer))}
    WHERE method = ${method} AND caller = ${caller.subject} AND request_id = ${requestId}`);
  return answer;
}

/** SHA-256 of a message's binary form without unknown fields, hexadecimal. Map entries count in the order sent. */
export function fingerprint(schema: DescMessage, message: Message): string {
  return hash('sha256', toBinary(schema, message, { writeUnknownFields: false }));
}
