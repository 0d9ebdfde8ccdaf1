// millrace dead-letters …
import { create } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import { type DeadLetter, DeadLetterService, DeadLetterState, DeadLetterStateSchema, GetDeadLetterResponseSchema, ListDeadLettersResponseSchema } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { SERVICES } from '../audit/report.ts';
import { type Call, type Noun, TEXT, TEXTS, UsageError, YES, expectArgs } from '../command.ts';
import type { Output } from '../output.ts';
import { PAGE, PAGE_OPTIONS, PAGE_USAGE, gather } from '../pages.ts';
import { EXIT } from '../problems.ts';
import { readEnums, showEnum, showTime } from '../values.ts';

const SERVICE = { service: TEXT } as const;
const FILTERS = { type: TEXT, cause: TEXT, subject: TEXT } as const;
const FILTER_USAGE = '[--type T] [--subject TEXT] [--cause TEXT]';
/** Letters that one command deals with; whoever has more deals with them in several goes. */
const MOST = 10_000;

export const deadLetters: Noun = {
  about: 'events that a service could not handle',
  verbs: {
    list: { usage: `[--service S] [--state open,replayed,discarded] ${FILTER_USAGE} ${PAGE_USAGE}`, about: 'lists the open ones, of one service or of all', options: { ...SERVICE, ...FILTERS, state: TEXTS, ...PAGE_OPTIONS }, run: list },
    show: { usage: 'DEAD_LETTER_ID --service S', about: 'shows one with its cause, headers and body', options: SERVICE, run: show },
    replay: {
      usage: `DEAD_LETTER_ID... --service S | --all [--service S] ${FILTER_USAGE}`,
      about: `handles them again; --all takes every open one, oldest first, that the filters let through
      --type, --subject, --cause   a part of it`,
      options: { ...SERVICE, ...FILTERS, all: YES },
      run: replay,
    },
    discard: {
      usage: `DEAD_LETTER_ID... --service S --reason TEXT | --all [--service S] ${FILTER_USAGE} --reason TEXT`,
      about: 'gives them up',
      options: { ...SERVICE, ...FILTERS, all: YES, reason: TEXT },
      run: discard,
    },
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
    const { rows, nextPageToken } = await gather(call, (page) => clientOf(call, service).listDeadLetters({ states, ...page }), (page) => page.deadLetters.filter(filterOf(call)));
    found.push(...rows);
    token = one === undefined ? '' : nextPageToken;
  }
  showLetters(call.out, found, token);
}

async function show(call: Call): Promise<void> {
  const [deadLetterId] = expectArgs(call, 'DEAD_LETTER_ID');
  showLetter(call.out, (await clientOf(call, named(call)).getDeadLetter({ deadLetterId })).deadLetter);
}

async function replay(call: Call): Promise<number> {
  const again = (client: Client<typeof DeadLetterService>, deadLetterId: string, requestId: string) => client.replayDeadLetter({ deadLetterId, requestId });
  const letters = await forEach(call, again);
  const failed = letters.filter(({ state }) => state === DeadLetterState.OPEN).length;
  if (failed > 0) call.out.note(`${failed} of ${letters.length} failed again.`);
  return failed > 0 ? EXIT.refused : EXIT.ok;
}

async function discard(call: Call): Promise<void> {
  const reason = call.flags.text('reason');
  if (!reason) throw new UsageError('--reason is missing');
  await forEach(call, (client, deadLetterId, requestId) => client.discardDeadLetter({ deadLetterId, reason, requestId }));
}

/** One after the other, in the order in which they were buried: what the first one tells may be what the second needs. */
async function forEach(call: Call, deal: (client: Client<typeof DeadLetterService>, deadLetterId: string, requestId: string) => Promise<{ deadLetter?: DeadLetter | undefined }>): Promise<DeadLetter[]> {
  const wanted = await wantedBy(call);
  const done: DeadLetter[] = [];
  for (const { service, deadLetterId } of wanted) {
    const { deadLetter } = await deal(clientOf(call, service), deadLetterId, wanted.length === 1 ? call.requestId : '');
    if (deadLetter) done.push(deadLetter);
  }
  if (done.length === 1 && !call.flags.on('all')) showLetter(call.out, done[0]);
  else showLetters(call.out, done);
  return done;
}

async function wantedBy(call: Call): Promise<{ service: string; deadLetterId: string }[]> {
  const filters = Object.keys(FILTERS).filter((name) => call.flags.text(name) !== undefined);
  if (!call.flags.on('all')) {
    if (filters.length > 0) throw new UsageError(`--${filters[0]} needs --all`);
    if (call.args.length === 0) throw new UsageError('DEAD_LETTER_ID is missing, or --all');
    const service = named(call);
    return call.args.map((deadLetterId) => ({ service, deadLetterId }));
  }
  if (call.args.length > 0) throw new UsageError('give DEAD_LETTER_ID or --all, not both');
  const one = call.flags.text('service');
  const found: DeadLetter[] = [];
  for (const service of one === undefined ? SERVICES : [checked(one)]) found.push(...(await openOf(call, service)));
  return found;
}

/** All of them before the first one is dealt with: what is dealt with leaves the list, and its pages would shift. */
async function openOf(call: Call, service: string): Promise<DeadLetter[]> {
  const found: DeadLetter[] = [];
  let pageToken = '';
  do {
    const page = await clientOf(call, service).listDeadLetters({ pageSize: PAGE, pageToken });
    found.push(...page.deadLetters.filter(filterOf(call)));
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && found.length < MOST);
  return found.slice(0, MOST).toReversed();
}

function filterOf(call: Call): (letter: DeadLetter) => boolean {
  const { type = '', subject = '', cause = '' } = { type: call.flags.text('type'), subject: call.flags.text('subject'), cause: call.flags.text('cause') };
  return (letter) => letter.eventType.includes(type) && letter.subject.includes(subject) && letter.cause.includes(cause);
}

function named(call: Call): string {
  const service = call.flags.text('service');
  if (service === undefined) throw new UsageError(`--service is missing: ${SERVICES.join(', ')}`);
  return checked(service);
}

function checked(service: string): string {
  if (!(SERVICES as readonly string[]).includes(service)) throw new UsageError(`--service is one of ${SERVICES.join(', ')}, not "${service}"`);
  return service;
}

function clientOf(call: Call, service: string): Client<typeof DeadLetterService> {
  return call.client(DeadLetterService, { 'millrace-service': service });
}

function showLetters(out: Output, letters: DeadLetter[], nextPageToken = ''): void {
  out.answer(ListDeadLettersResponseSchema, create(ListDeadLettersResponseSchema, { deadLetters: letters, nextPageToken }), () =>
    out.table(
      ['DEAD LETTER', 'SERVICE', 'SINCE', 'SUBJECT', 'TRIES', 'STATE', 'CAUSE'],
      letters.map((letter) => [letter.deadLetterId, letter.service, showTime(letter.createTime), letter.subject, letter.deliveries, showEnum(DeadLetterStateSchema, letter.state), letter.cause.split('\n')[0]]),
    ),
  );
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
