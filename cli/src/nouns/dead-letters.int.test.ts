// Many dead letters at once, of a server that remembers what was asked of it.
import { create } from '@bufbuild/protobuf';
import { type DeadLetter, DeadLetterSchema, DeadLetterService, DeadLetterState } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Stub, startStub } from '../../../chassis/test/stub-server.ts';
import { runCli } from '../main.ts';

let stub: Stub;
/** By service, newest first, as the services list them. */
let letters: Map<string, DeadLetter[]>;
let asked: string[];

beforeAll(async () => {
  const of = (headers: Headers) => letters.get(headers.get('millrace-service') ?? '') ?? [];
  const named = (headers: Headers, id: string) => of(headers).find(({ deadLetterId }) => deadLetterId === id);
  stub = await startStub({}, {
    services: [DeadLetterService],
    routes: (router) => router.service(DeadLetterService, {
      listDeadLetters({ pageSize, pageToken }, { requestHeader }) {
        const from = Number(pageToken || 0);
        // Pages smaller than asked for, so that there are several.
        const page = of(requestHeader).filter(({ state }) => state === DeadLetterState.OPEN).slice(from, from + Math.min(pageSize, 2));
        return { deadLetters: page, nextPageToken: page.length === 2 ? String(from + 2) : '' };
      },
      getDeadLetter: ({ deadLetterId }, { requestHeader }) => ({ deadLetter: named(requestHeader, deadLetterId) }),
      replayDeadLetter({ deadLetterId }, { requestHeader }) {
        asked.push(deadLetterId);
        const letter = named(requestHeader, deadLetterId);
        if (letter && letter.cause !== 'hopeless') letter.state = DeadLetterState.REPLAYED;
        return { deadLetter: letter };
      },
      discardDeadLetter({ deadLetterId, reason }, { requestHeader }) {
        asked.push(deadLetterId);
        const letter = named(requestHeader, deadLetterId);
        if (letter) Object.assign(letter, { state: DeadLetterState.DISCARDED, note: reason });
        return { deadLetter: letter };
      },
    }),
  });
});
afterAll(async () => stub[Symbol.asyncDispose]());
beforeEach(() => {
  asked = [];
  const letter = (service: string, deadLetterId: string, eventType: string, cause = 'the database was young') => create(DeadLetterSchema, { service, deadLetterId, eventType, cause, state: DeadLetterState.OPEN, subject: `${eventType}.x` });
  letters = new Map([
    ['order', ['o3', 'o2', 'o1'].map((id) => letter('order', id, id === 'o2' ? 'payments.failed' : 'payments.succeeded'))],
    ['payment', [letter('payment', 'p1', 'orders.placed', 'hopeless')]],
  ]);
});

async function millrace(line: string) {
  const said = { code: -1, stdout: '', stderr: '' };
  said.code = await runCli([...line.split(' '), '--edge', stub.url, '--token', stub.token], {
    env: {}, stdin: process.stdin, stdout: (text) => void (said.stdout += text), stderr: (text) => void (said.stderr += text), signal: new AbortController().signal,
  });
  return said;
}

test('all open ones of all services are replayed, each service\'s oldest first, and those that fail again are counted', async () => {
  const { code, stdout, stderr } = await millrace('dead-letters replay --all');
  expect([code, asked, stderr]).toEqual([1, ['o1', 'o2', 'o3', 'p1'], '1 of 4 failed again.\n']);
  expect(stdout).toMatch(/^DEAD LETTER[^]+o1 +order [^]+replayed[^]+p1 +payment [^]+open +hopeless/);
});

test('filters choose what is listed, replayed and discarded', async () => {
  expect((await millrace('dead-letters list --type failed')).stdout).toMatch(/o2/);
  expect((await millrace('dead-letters list --type failed')).stdout).not.toMatch(/o1|p1/);
  expect(await millrace('dead-letters replay --all --service order --type succeeded')).toMatchObject({ code: 0 });
  expect(await millrace('dead-letters discard --all --cause hopeless --reason gone')).toMatchObject({ code: 0 });
  expect(asked).toEqual(['o1', 'o3', 'p1']);
  expect((await millrace('dead-letters list')).stdout).not.toMatch(/o1|o3|p1/);
});

test('some are named, and answered as JSON', async () => {
  const { code, stdout } = await millrace('dead-letters discard o1 o3 --service order --reason old --json');
  expect([code, asked]).toEqual([0, ['o1', 'o3']]);
  expect(JSON.parse(stdout)).toMatchObject({ deadLetters: [{ deadLetterId: 'o1', note: 'old' }, { deadLetterId: 'o3', note: 'old' }] });
});

test.each([
  ['replay', 'DEAD_LETTER_ID is missing, or --all'], ['replay o1', '--service is missing'], ['replay o1 --all', 'not both'], ['replay o1 --service order --type x', '--type needs --all'],
  ['discard --all', '--reason is missing'], ['replay --all --service shop', '--service is one of order, product'],
])('%s is not enough to know what is meant', async (line, words) => {
  expect(await millrace(`dead-letters ${line}`)).toMatchObject({ code: 2, stderr: expect.stringContaining(words) as string });
  expect(asked).toEqual([]);
});
