#!/usr/bin/env node
// The millrace command: millrace NOUN VERB [ARGUMENTS]. One file per noun; this one only reads the line and says how it went.
import { randomUUIDv7 } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createClient } from '@connectrpc/connect';
import { Http2SessionManager } from '@connectrpc/connect-node';
import { type Call, type Flags, type Noun, TEXT, UsageError, type Verb, YES, readFlags } from './command.ts';
import { type Target, connectTo, findTarget } from './connection.ts';
import { helpOfAll, helpOfNoun, usageOf } from './help.ts';
import { audit } from './nouns/audit.ts';
import { deadLetters } from './nouns/dead-letters.ts';
import { events } from './nouns/events.ts';
import { notification } from './nouns/notification.ts';
import { order } from './nouns/order.ts';
import { payment } from './nouns/payment.ts';
import { product } from './nouns/product.ts';
import { stock } from './nouns/stock.ts';
import { createOutput } from './output.ts';
import { EXIT, describe, problemOf } from './problems.ts';

export type Terminal = {
  env: Record<string, string | undefined>;
  stdin: NodeJS.ReadableStream;
  stdout: (text: string) => void;
  stderr: (text: string) => void;
  signal: AbortSignal;
};

const NOUNS: Record<string, Noun> = { order, product, stock, payment, notification, 'dead-letters': deadLetters, events, audit };
const COMMON = { json: YES, edge: TEXT, token: TEXT, as: TEXT, 'request-id': TEXT, help: { type: 'boolean', short: 'h' } } as const;

/** Runs one command line; answers the exit code and never throws what a person can cause. */
export async function runCli(line: string[], terminal: Terminal): Promise<number> {
  const nounName = line[0] ?? '';
  const noun = Object.hasOwn(NOUNS, nounName) ? NOUNS[nounName] : undefined;
  // A noun with a nameless verb needs no other.
  const verbName = noun && Object.hasOwn(noun.verbs, '') ? '' : (line[1] ?? '');
  const verb = noun && Object.hasOwn(noun.verbs, verbName) ? noun.verbs[verbName] : undefined;
  if (!noun || !verb) return guide(line, nounName, noun, terminal);
  let json = false;
  let sessions: Http2SessionManager | undefined;
  try {
    const { values, positionals } = parse(line.slice(verbName === '' ? 1 : 2), verb);
    if (values['help'] === true) {
      terminal.stdout(`${usageOf(nounName, verbName, verb)}\n${verb.about}\n`);
      return EXIT.ok;
    }
    json = values['json'] === true;
    const flags = readFlags(values);
    return (await verb.run(callOf(positionals, flags, terminal, () => {
      const target = findTarget(flags, terminal.env);
      return { target, sessions: (sessions ??= new Http2SessionManager(target.edge)) };
    }))) ?? EXIT.ok;
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.stderr(`${error.message}\n${usageOf(nounName, verbName, verb)}\n`);
      return EXIT.usage;
    }
    const problem = problemOf(error);
    terminal.stderr(json ? `${JSON.stringify({ error: { ...problem, exit: undefined } })}\n` : `${describe(problem)}\n`);
    return problem.exit;
  } finally {
    sessions?.abort();
  }
}

function guide(line: string[], nounName: string, noun: Noun | undefined, { stdout, stderr }: Terminal): number {
  const asked = line.includes('--help') || line.includes('-h') || line[0] === 'help';
  const text = noun ? helpOfNoun(nounName, noun) : helpOfAll(NOUNS);
  if (asked) stdout(text);
  else stderr(noun || line.length === 0 ? text : `There is no "${nounName}".\n\n${text}`);
  return asked ? EXIT.ok : EXIT.usage;
}

function parse(args: string[], verb: Verb): { values: Record<string, unknown>; positionals: string[] } {
  // "-5" is a number here, not an option.
  const numbers = args.filter((arg, i) => /^-\d+$/.test(arg) && !args.slice(0, i).includes('--'));
  const rest = args.filter((arg) => !numbers.includes(arg));
  try {
    const { values, positionals } = parseArgs({ args: rest, options: { ...COMMON, ...verb.options }, allowPositionals: true, strict: true });
    return { values, positionals: [...positionals, ...numbers] };
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/\. .*$/s, ''));
  }
}

// Looks for Millrace only when the verb calls it: wrong usage is said first.
function callOf(args: string[], flags: Flags, terminal: Terminal, reach: () => { target: Target; sessions: Http2SessionManager }): Call {
  return {
    args,
    flags,
    out: createOutput(flags.on('json'), terminal.stdout, terminal.stderr),
    requestId: flags.text('request-id') ?? randomUUIDv7(),
    env: terminal.env,
    signal: terminal.signal,
    stdin: terminal.stdin,
    client(service, headers) {
      const { target, sessions } = reach();
      return createClient(service, connectTo(target, sessions, headers));
    },
  };
}

if (import.meta.main) {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.exitCode = await runCli(process.argv.slice(2), {
    env: process.env,
    stdin: process.stdin,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    signal: stop.signal,
  });
}
