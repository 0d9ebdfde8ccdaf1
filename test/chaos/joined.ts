import type { Socket } from 'node:net';

/** Hands on all that one says to the other, and that it has ended. */
export function joined(one: Socket, other: Socket): void {
  for (const [from, to] of [[one, other], [other, one]] as const) {
    from.setNoDelay(true).on('error', () => to.destroy()).on('close', () => to.destroy());
    from.pipe(to);
  }
}
