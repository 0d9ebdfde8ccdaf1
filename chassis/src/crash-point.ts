// Named places where a process can be made to die, for the question what a crash right there leaves behind. MILLRACE_CRASH_POINT arms one.
import { writeSync } from 'node:fs';

/** `left`: how often the point is still passed, the deadly time included. */
type Armed = { point: string; left: number };

const STDERR = 2;

/** One in a process; unset, a point costs one comparison. */
let armed: Armed | undefined;

/** `<service>.<point>`, and after a colon the how-manieth passing is the last; a point of another service arms nothing. */
export function armCrashPoint(service: string, setting: string | undefined): void {
  const [name = '', times = '1'] = setting?.split(':') ?? [];
  if (name.startsWith(`${service}.`)) armed = { point: name.slice(service.length + 1), left: Number(times) };
}

/** Ends the process as a power cut would, if this point is armed and its time has come. */
export function crashPoint(point: string): void {
  if (armed !== undefined) pass(armed, point);
}

function pass(waiting: Armed, point: string): void {
  if (waiting.point !== point) return;
  waiting.left -= 1;
  if (waiting.left > 0) return;
  // Synchronously, or nobody would ever read it.
  writeSync(STDERR, `crash point ${point}\n`);
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way; whatever came after this line would be a step too far.
  for (;;);
}
