// What a verb is, and what it is given: arguments that are checked, a client, and a place to print.
import type { DescService } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import type { ParseArgsConfig } from 'node:util';
import type { Output } from './output.ts';

export type Verb = {
  /** Arguments as in a manual: "ORDER_ID [--reason TEXT]". */
  usage: string;
  about: string;
  options?: NonNullable<ParseArgsConfig['options']>;
  /** Answers an exit code other than 0 if there is one. */
  run(call: Call): Promise<number | void>;
};
export type Noun = { about: string; verbs: Record<string, Verb> };

export type Call = {
  args: string[];
  flags: Flags;
  out: Output;
  /** Makes a repeat harmless: --request-id, or a new one. */
  requestId: string;
  env: Record<string, string | undefined>;
  /** Ctrl-C. */
  signal: AbortSignal;
  stdin: NodeJS.ReadableStream;
  client<S extends DescService>(service: S, headers?: Record<string, string>): Client<S>;
};

/** The command line can't be what was meant; ends with the verb's usage and exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}

export type Flags = ReturnType<typeof readFlags>;

export function readFlags(values: Record<string, unknown>) {
  const text = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined);
  const all = (name: string): string[] => (Array.isArray(values[name]) ? values[name].map(String) : []);
  return {
    text,
    all,
    on: (name: string): boolean => values[name] === true,
    /** A number without a fraction. */
    whole: (name: string): number | undefined => {
      const given = text(name);
      return given === undefined ? undefined : wholeNumber(given, `--${name}`);
    },
    /** Several words, given apart or comma separated. */
    words: (name: string): string[] => all(name).flatMap((word) => word.split(',')).map((word) => word.trim()).filter(Boolean),
  };
}

/** Exactly the arguments that `names` lists. */
export function expectArgs(call: Call, ...names: string[]): string[] {
  if (call.args.length < names.length) throw new UsageError(`${names[call.args.length]} is missing`);
  if (call.args.length > names.length) throw new UsageError(`"${call.args[names.length]}" is one argument too many`);
  return call.args;
}

export function wholeNumber(text: string, what: string): number {
  const number = Number(text);
  if (!/^[-+]?\d+$/.test(text) || Math.abs(number) > 2_147_483_647) throw new UsageError(`${what} must be a whole number, not "${text}"`);
  return number;
}

export const TEXT = { type: 'string' } as const;
export const TEXTS = { type: 'string', multiple: true } as const;
export const YES = { type: 'boolean' } as const;
