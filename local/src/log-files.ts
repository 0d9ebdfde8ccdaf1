// Children write straight into their log files, so that they neither wait for us nor die with us. We read along for what
// a person should see at once, and keep the files from growing without end.
import { closeSync, copyFileSync, existsSync, fstatSync, openSync, readSync, truncateSync } from 'node:fs';

/** Kept twice: the file and one before it. */
const MAX_LOG_BYTES = 32 * 1024 * 1024;
const READ_EVERY_MS = 500;
const CHUNK_BYTES = 1024 * 1024;
const LINES_AT_ONCE = 3; // a service in trouble says the same thing many times
const SHOWN_FROM_LEVEL = 40; // pino: warn

export type LogWatch = { stop: () => void };

/** Opens a child's log for appending. The descriptor is the caller's to close. */
export function openLog(file: string): number {
  return openSync(file, 'a', 0o600);
}

/** Follows a log from its present end; warnings and errors in pino's JSON go to `say`, one short line each. */
export function watchLog(name: string, file: string, say: (line: string) => void): LogWatch {
  const log = openSync(file, 'r');
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let position = fstatSync(log).size;
  let rest = '';
  const read = (): void => {
    const { size } = fstatSync(log);
    if (size < position) position = 0;
    const shown: string[] = [];
    while (position < size) {
      const bytes = readSync(log, chunk, 0, CHUNK_BYTES, position);
      if (bytes === 0) break;
      position += bytes;
      const lines = (rest + chunk.toString('utf8', 0, bytes)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) shown.push(...shortForm(line));
    }
    for (const line of shown.slice(0, LINES_AT_ONCE)) say(`${name}: ${line}`);
    if (shown.length > LINES_AT_ONCE) say(`${name}: … and ${shown.length - LINES_AT_ONCE} more in ${file}`);
    if (size > MAX_LOG_BYTES) {
      // Copied and emptied rather than renamed: the child goes on writing to the file it has open.
      copyFileSync(file, `${file}.1`);
      truncateSync(file, 0);
      position = 0;
    }
  };
  const timer = setInterval(read, READ_EVERY_MS).unref();
  return {
    stop: () => {
      clearInterval(timer);
      closeSync(log);
    },
  };
}

/** The end of a log, for an error message. */
export function lastLines(file: string, count = 5): string {
  if (!existsSync(file)) return '';
  const log = openSync(file, 'r');
  try {
    const { size } = fstatSync(log);
    const length = Math.min(size, 8_192);
    const buffer = Buffer.alloc(length);
    readSync(log, buffer, 0, length, size - length);
    return buffer.toString('utf8').trim().split('\n').slice(-count).map((line) => `  ${messageOf(line) ?? line}`).join('\n');
  } finally {
    closeSync(log);
  }
}

function shortForm(line: string): string[] {
  if (!/"level":[4-6]0/.test(line)) return [];
  const message = messageOf(line);
  return message === undefined ? [] : [message];
}

function messageOf(line: string): string | undefined {
  try {
    const { level, msg, err } = JSON.parse(line) as { level?: number; msg?: string; err?: { message?: string } };
    if (level === undefined || msg === undefined) return undefined;
    const cause = err?.message && err.message !== msg ? ` (${err.message})` : '';
    return `${level >= SHOWN_FROM_LEVEL + 10 ? 'error' : level >= SHOWN_FROM_LEVEL ? 'warning' : 'info'}: ${msg}${cause}`;
  } catch {
    return undefined;
  }
}
