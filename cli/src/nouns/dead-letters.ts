// millrace dead-letters …
import { create } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import { type DeadLetter, DeadLetterService, DeadLetterState, DeadLetterStateSchema, GetDeadLetterResponseSchema, ListDeadLettersResponseSchema } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { type Call, type Noun, TEXT, TEXTS, UsageError, expectArgs } from '../command.ts';
import type { Output } from '../output.ts';
import { PAGE_OPTIONS, PAGE_USAGE, gather } from '../pages.ts';
import { EXIT } from '../problems.ts';
import { readEnums, showEnum, showTime } from '../values.ts';

/** They all have dead letters of their own. */
const SERVICES = ['order', 'product', 'inventory', 'payment', 'notification'];
const SERVICE = { service: TEXT } as const;

export const deadLetters: Noun = {
  about: 'events that a service could not handle',
  verbs: {
    list: { usage: `[--service S] [--state open,replayed,discarded] ${PAGE_USAGE}`, about: 'lists the open ones, of one service or of all', options: { ...SERVICE, state: TEXTS, ...PAGE_OPTIONS }, run: list },
    show: { usage: 'DEAD_LETTER_ID --service S', about: 'shows one with its cause, headers and body', options: SERVICE, run: show },
    replay: { usage: 'DEAD_LETTER_ID... --service S', about: 'handles it again', options: SERVICE, run: replay },
    discard: { usage: 'DEAD_LETTER_ID --service S --reason TEXT', about: 'gives it up', options: { ...SERVICE, reason: TEXT }, run: discard },
  },
};

async function list(call: Call): Promise<void> {
  expectArgs(call);
  const states = readEnums<DeadLetterState>(DeadLetterStateSchema, call.flags.words('state'), '--state');
  const one = call.flags.text('service');
  if (one === undefined && call.flags.text('page-token') !== undefined) throw new UsageError('--page-token needs --service');
  const found: DeadLetter[] = [];
  let token = '';
  for (const service of one === undefined ? SERVICES : [checked(one)]) {
    const { rows, nextPageToken } = await gather(call, (page) => clientOf(call, service).listDeadLetters({ states, ...page }), (page) => page.deadLetters);
    found.push(...rows);
    token = one === undefined ? '' : nextPageToken;
  }
  call.out.answer(ListDeadLettersResponseSchema, create(ListDeadLettersResponseSchema, { deadLetters: found, nextPageToken: token }), () =>
    call.out.table(
      ['DEAD LETTER', 'SERVICE', 'SINCE', 'SUBJECT', 'TRIES', 'STATE', 'CAUSE'],
      found.map((letter) => [letter.deadLetterId, letter.service, showTime(letter.createTime), letter.subject, letter.deliveries, showEnum(DeadLetterStateSchema, letter.state), letter.cause.split('\n')[0]]),
    ),
  );
}

async function show(call: Call): Promise<void> {
  const [deadLetterId] = expectArgs(call, 'DEAD_LETTER_ID');
  showLetter(call.out, (await named(call).getDeadLetter({ deadLetterId })).deadLetter);
}

async function replay(call: Call): Promise<number> {
  if (call.args.length === 0) throw new UsageError('DEAD_LETTER_ID is missing');
  const client = named(call);
  let failed = 0;
  for (const deadLetterId of call.args) {
    const { deadLetter } = await client.replayDeadLetter({ deadLetterId, requestId: call.args.length === 1 ? call.requestId : '' });
    if (deadLetter?.state === DeadLetterState.OPEN) failed += 1;
    showLetter(call.out, deadLetter);
  }
  if (failed > 0) call.out.note(`${failed} of ${call.args.length} failed again.`);
  return failed > 0 ? EXIT.refused : EXIT.ok;
}

async function discard(call: Call): Promise<void> {
  const [deadLetterId] = expectArgs(call, 'DEAD_LETTER_ID');
  const reason = call.flags.text('reason');
  if (!reason) throw new UsageError('--reason is missing');
  showLetter(call.out, (await named(call).discardDeadLetter({ deadLetterId, reason, requestId: call.requestId })).deadLetter);
}

function named(call: Call): Client<typeof DeadLetterService> {
  const service = call.flags.text('service');
  if (service === undefined) throw new UsageError(`--service is missing: ${SERVICES.join(', ')}`);
  return clientOf(call, checked(service));
}

function checked(service: string): string {
  if (!SERVICES.includes(service)) throw new UsageError(`--service is one of ${SERVICES.join(', ')}, not "${service}"`);
  return service;
}

function clientOf(call: Call, service: string): Client<typeof DeadLetterService> {
  return call.client(DeadLetterService, { 'millrace-service': service });
}

function showLetter(out: Output, letter: DeadLetter | undefined): void {
  if (!letter) return;
  out.answer(GetDeadLetterResponseSchema, create(GetDeadLetterResponseSchema, { deadLetter: letter }), () => {
    out.facts({
      'dead letter': letter.deadLetterId,
      service: letter.service,
      state: showEnum(DeadLetterStateSchema, letter.state),
      event: [letter.eventType, letter.eventId].filter(Boolean).join(' '),
      subject: letter.subject,
      stream: `${letter.stream} ${letter.streamSequence}`,
      tries: letter.deliveries,
      since: showTime(letter.createTime),
      resolved: [showTime(letter.resolveTime), letter.resolvedBy].filter(Boolean).join(' by '),
      note: letter.note,
      cause: letter.cause,
    });
    if (Object.keys(letter.headers).length > 0) out.facts(Object.fromEntries(Object.entries(letter.headers).map(([name, value]) => [`  ${name}`, value])));
    if (letter.body.length > 0) out.line(bodyText(letter.body));
    if (letter.stack) out.line(letter.stack);
  });
}

// JSON as a rule; whatever made it a dead letter may be that it isn't text at all.
function bodyText(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return Buffer.from(body).toString('hex');
  }
}
