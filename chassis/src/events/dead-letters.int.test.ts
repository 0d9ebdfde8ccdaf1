// Dead letters, asked for as an operator does: over the wire, on a real Postgres.
import { randomUUID } from 'node:crypto';
import { createClient, type Client } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { DeadLetterService, DeadLetterState } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { ProductCreatedSchema } from '@millrace/gen/millrace/product/v1/events_pb.js';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../../test/support/servers.ts';
import { failure } from '../../test/callers.ts';
import { type Stub, startStub } from '../../test/stub-server.ts';
import { refuse } from '../api/errors.ts';
import { openDatabase, sql, type Database } from '../database/db.ts';
import { createLog } from '../telemetry/log.ts';
import { buryEvent, createDeadLetters, deadLetterRoutes } from './dead-letters.ts';
import { on, type RawEvent } from './inbox.ts';

const TYPE = ProductCreatedSchema.typeName;
let database: TestDatabase;
let db: Database;
let stub: Stub;
let letters: Client<typeof DeadLetterService>;
/** What the reaction does; a fix is another one. */
let react: (sku: string) => void;
let handled: string[];

beforeAll(async () => {
  database = await createDatabase('inventory');
  db = openDatabase(database.url, createLog('test', 'silent'));
  const reaction = on(ProductCreatedSchema, async (_tx, events) => events.forEach(({ body }) => react(body.sku)));
  stub = await startStub({}, { services: [DeadLetterService], routes: deadLetterRoutes(new Map([['inventory', createDeadLetters('inventory', db, new Map([[TYPE, reaction]]))]])) });
  letters = createClient(DeadLetterService, createConnectTransport({ baseUrl: stub.url, httpVersion: '2', interceptors: [(next) => (request) => {
    request.header.set('authorization', `Bearer ${stub.token}`);
    return next(request);
  }] }));
});
afterAll(async () => {
  await stub[Symbol.asyncDispose]();
  await db.close();
  await database.drop();
});
beforeEach(async () => {
  await db.query(sql`DELETE FROM dead_letter`);
  handled = [];
  react = (sku) => void handled.push(sku);
});

let sequence = 0n;
async function bury(event: Partial<RawEvent> = {}, cause = new Error('it was broken')): Promise<string> {
  const headers = { 'ce-id': randomUUID(), 'ce-type': TYPE, 'ce-time': new Date().toISOString(), 'millrace-version': '1' };
  sequence += 1n;
  await buryEvent(db, { stream: 'PRODUCTS', sequence, subject: 'products.created.mug', headers, body: Buffer.from('{"sku":"mug","version":1}'), deliveries: 8, ...event }, cause);
  const [row] = await db.query<{ dead_letter_id: string }>(sql`SELECT dead_letter_id FROM dead_letter WHERE stream_sequence = ${sequence}`);
  return row?.dead_letter_id ?? '';
}
const stateOf = async (deadLetterId: string) => (await letters.getDeadLetter({ deadLetterId })).deadLetter?.state;

test('one is shown with its cause, stack, raw bytes, headers and deliveries', async () => {
  const body = Buffer.from([0xff, 0x00, 0x7b]);
  const deadLetterId = await bury({ body, headers: { 'ce-id': 'no uuid', 'ce-type': TYPE, traceparent: '00-1-2-01' } }, new Error('unreadable', { cause: new Error('not JSON') }));
  const { deadLetter } = await letters.getDeadLetter({ deadLetterId });
  expect(deadLetter).toMatchObject({
    service: 'inventory', stream: 'PRODUCTS', subject: 'products.created.mug', streamSequence: sequence, eventId: 'no uuid', eventType: TYPE, deliveries: 8,
    cause: 'unreadable: not JSON', headers: { traceparent: '00-1-2-01' }, state: DeadLetterState.OPEN,
  });
  expect([deadLetter?.stack, Buffer.from(deadLetter?.body ?? [])]).toEqual([expect.stringContaining('unreadable'), body]);
});

test('they are listed by page, newest first, the open ones unless others are asked for', async () => {
  const ids = [await bury(), await bury(), await bury()];
  await letters.discardDeadLetter({ deadLetterId: ids[0] ?? '', reason: 'a test' });
  const first = await letters.listDeadLetters({ pageSize: 1 });
  const second = await letters.listDeadLetters({ pageSize: 1, pageToken: first.nextPageToken });
  expect([...first.deadLetters, ...second.deadLetters].map(({ deadLetterId }) => deadLetterId).toSorted()).toEqual(ids.slice(1).toSorted());
  expect(second.nextPageToken).toBe('');
  expect((await letters.listDeadLetters({ states: [DeadLetterState.DISCARDED] })).deadLetters.map(({ deadLetterId }) => deadLetterId)).toEqual([ids[0]]);
});

test('one that fails again stays open with the new cause, and has its effect once it is mended', async () => {
  const deadLetterId = await bury();
  react = () => { throw new Error('still broken'); };
  expect((await letters.replayDeadLetter({ deadLetterId })).deadLetter).toMatchObject({ state: DeadLetterState.OPEN, cause: 'still broken', stack: expect.stringContaining('still broken') as string });
  // Even if the domain has a name for it: only what is wrong with the letter itself is a refusal.
  react = () => { throw refuse('NOT_FOUND', 'no such sku'); };
  expect((await letters.replayDeadLetter({ deadLetterId })).deadLetter).toMatchObject({ state: DeadLetterState.OPEN, cause: 'no such sku' });
  react = (sku) => void handled.push(sku);
  expect((await letters.replayDeadLetter({ deadLetterId })).deadLetter).toMatchObject({ state: DeadLetterState.REPLAYED, resolvedBy: 'ann' });
  expect(handled).toEqual(['mug']);
});

test('a repeat of a replay is answered the same and has no second effect', async () => {
  const deadLetterId = await bury();
  const first = await letters.replayDeadLetter({ deadLetterId, requestId: 'once' });
  expect(await letters.replayDeadLetter({ deadLetterId, requestId: 'once' })).toEqual(first);
  expect(handled).toEqual(['mug']);
  expect(await failure(letters.replayDeadLetter({ deadLetterId }))).toMatchObject({ rawMessage: 'the dead letter is REPLAYED' });
  expect(await failure(letters.replayDeadLetter({ deadLetterId: await bury(), requestId: 'once' }))).toMatchObject({ rawMessage: expect.stringContaining('another body') as string });
});

test('a failed replay does not use its request id up', async () => {
  const deadLetterId = await bury();
  react = () => { throw new Error('still broken'); };
  await letters.replayDeadLetter({ deadLetterId, requestId: 'again' });
  react = (sku) => void handled.push(sku);
  expect((await letters.replayDeadLetter({ deadLetterId, requestId: 'again' })).deadLetter?.state).toBe(DeadLetterState.REPLAYED);
});

test('an event that was handled meanwhile does nothing twice', async () => {
  const headers = { 'ce-id': randomUUID(), 'ce-type': TYPE, 'ce-time': new Date().toISOString(), 'millrace-version': '1' };
  const [one, other] = [await bury({ headers }), await bury({ headers })];
  for (const deadLetterId of [one, other]) await letters.replayDeadLetter({ deadLetterId });
  expect([handled, await stateOf(one), await stateOf(other)]).toEqual([['mug'], DeadLetterState.REPLAYED, DeadLetterState.REPLAYED]);
});

test('what can not be read stays, until somebody gives it up with a reason', async () => {
  const deadLetterId = await bury({ body: Buffer.from('{"sku":') });
  expect((await letters.replayDeadLetter({ deadLetterId })).deadLetter).toMatchObject({ state: DeadLetterState.OPEN, cause: expect.stringContaining(`the body is no ${TYPE}: `) as string });
  expect(await failure(letters.discardDeadLetter({ deadLetterId, reason: '' }))).toMatchObject({ rawMessage: expect.stringContaining('reason') as string });
  expect((await letters.discardDeadLetter({ deadLetterId, reason: 'the producer was mended' })).deadLetter).toMatchObject({ state: DeadLetterState.DISCARDED, resolvedBy: 'ann', note: 'the producer was mended' });
  expect(await failure(letters.discardDeadLetter({ deadLetterId: randomUUID(), reason: 'none' }))).toMatchObject({ rawMessage: 'there is no such dead letter' });
});
