// What the command says about itself.
import type { Noun, Verb } from './command.ts';

const COMMON = `Everywhere:
  --json             prints JSON instead of tables
  --edge URL         where Millrace is; without it, what the launcher wrote into .millrace/runtime.json (MILLRACE_HOME moves it)
  --token TOKEN      who you are; without it, the launcher's token of --as
  --as NAME          admin (default), buyer, buyer2 or service
  --request-id ID    makes a repeat harmless; without it, a new one each time
  --help

Exit codes: 0 done, 1 refused, 2 wrong usage, 3 not reachable`;

export function helpOfAll(nouns: Record<string, Noun>): string {
  const lines = Object.entries(nouns).map(([name, noun]) => `  ${name.padEnd(13)} ${Object.keys(noun.verbs).join('|')}`);
  return `Usage: millrace NOUN VERB [ARGUMENTS]\n\n${lines.join('\n')}\n\n"millrace NOUN --help" says more.\n\n${COMMON}\n`;
}

export function helpOfNoun(name: string, noun: Noun): string {
  const lines = Object.entries(noun.verbs).map(([verb, { usage, about }]) => `  millrace ${name}${verb && ` ${verb}`} ${usage}\n      ${about}`);
  return `${name}: ${noun.about}\n\n${lines.join('\n')}\n\n${COMMON}\n`;
}

export function usageOf(noun: string, name: string, verb: Verb): string {
  return `Usage: millrace ${noun}${name && ` ${name}`} ${verb.usage}`;
}
