// The environment of a running process: the secrets that only it has, for attacks that have to know them.
import { readFileSync } from 'node:fs';
import type { System } from './system.ts';

export function environmentOf(system: System, name: string): Record<string, string> {
  const lines = readFileSync(`/proc/${system.pid(name)}/environ`, 'utf8').split('\0').filter(Boolean);
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}
