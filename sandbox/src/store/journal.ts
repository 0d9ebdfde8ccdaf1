// One append-only file of JSON lines. A line is written before the answer leaves, so a killed process loses nothing it
// has answered; a line torn by a crash was never answered and is cut off at the next start.
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { Line } from './records.ts';

const JOURNAL_LIMIT = 8 * 2 ** 30; // bytes; about four million orders. Past it, writes are refused.
const READ_CHUNK = 4096; // bytes; a Stripe line fits into one read
const REPLAY_CHUNK = 1 << 20;
const RECENT_LINES = 4096; // parsed lines kept in memory: an intent is mostly touched again soon after
const NEWLINE = 0x0a;

export interface Journal {
  /** Writes all lines or none; answers their offsets. */
  append(lines: Line[]): number[];
  read(offset: number): Line;
  size(): number;
  close(): void;
}

export class JournalError extends Error {
  override name = 'JournalError';
}

export function openJournal(path: string, visit: (line: Line, offset: number) => void): Journal {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  const recent = new Map<number, Line>();
  const buffer = Buffer.allocUnsafe(READ_CHUNK);
  let size = replay(fd, path, visit);
  if (fstatSync(fd).size > size) ftruncateSync(fd, size);

  const remember = (offset: number, line: Line) => {
    recent.set(offset, line);
    if (recent.size > RECENT_LINES) recent.delete(recent.keys().next().value as number);
  };

  return {
    append(lines) {
      const texts = lines.map((line) => Buffer.from(`${JSON.stringify(line)}\n`));
      const bytes = texts.length === 1 ? (texts[0] as Buffer) : Buffer.concat(texts);
      if (size + bytes.length > JOURNAL_LIMIT) {
        throw new JournalError(`the sandbox is full (${JOURNAL_LIMIT} bytes): stop it and remove ${path}`);
      }
      writeWhole(fd, bytes, size);
      return texts.map((text, index) => {
        const offset = size;
        size += text.length;
        remember(offset, lines[index] as Line);
        return offset;
      });
    },
    read(offset) {
      const known = recent.get(offset);
      if (known) return known;
      const line = parse(readLine(fd, offset, buffer), path, offset);
      remember(offset, line);
      return line;
    },
    size: () => size,
    close: () => closeSync(fd),
  };
}

/** Writes all bytes or leaves the file as it was. */
export function writeWhole(fd: number, bytes: Buffer, position: number): void {
  try {
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written, bytes.length - written, position + written);
  } catch (error) {
    ftruncateSync(fd, position); // half a line must not stay: the next one would be glued to it
    throw error;
  }
}

function readLine(fd: number, offset: number, buffer: Buffer): string {
  let chunk = buffer;
  for (;;) {
    const length = readSync(fd, chunk, 0, chunk.length, offset);
    const end = chunk.subarray(0, length).indexOf(NEWLINE);
    if (end >= 0) return chunk.toString('utf8', 0, end);
    if (length < chunk.length) throw new JournalError(`the journal ends inside the line at byte ${offset}`);
    chunk = Buffer.allocUnsafe(chunk.length * 4);
  }
}

/** Visits every whole line and answers where the last one ends. */
function replay(fd: number, path: string, visit: (line: Line, offset: number) => void): number {
  const total = fstatSync(fd).size;
  const chunk = Buffer.allocUnsafe(REPLAY_CHUNK);
  let rest = Buffer.alloc(0);
  let start = 0; // offset of the first byte in `rest`
  for (let position = 0; position < total; ) {
    const length = readSync(fd, chunk, 0, chunk.length, position);
    if (length === 0) break;
    position += length;
    const bytes = Buffer.concat([rest, chunk.subarray(0, length)]);
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      visit(parse(bytes.toString('utf8', from, end), path, start + from), start + from);
      from = end + 1;
    }
    rest = bytes.subarray(from);
    start += from;
  }
  return start;
}

function parse(text: string, path: string, offset: number): Line {
  try {
    return JSON.parse(text) as Line;
  } catch {
    throw new JournalError(`${path} is damaged at byte ${offset}: repair or remove it`);
  }
}
