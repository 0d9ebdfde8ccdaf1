import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../test/callers.ts';

const CHILD = path.resolve(import.meta.dirname, '../test/child.ts');
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});

describe('a process', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('stops in order at %s and exits with 0', async (signal) => {
    const child = start('serve');
    await child.ready();
    child.process.kill(signal);
    expect(await child.exit()).toBe(0);
    expect(child.messages()).toEqual(['ready', 'stopping', 'stopped']);
  });

  it('does not wait for a stop that hangs when it is interrupted again', async () => {
    const child = start('never stop');
    await child.ready();
    child.process.kill('SIGINT');
    await eventually(() => child.messages().includes('stopping'), 'it stops');
    child.process.kill('SIGINT');
    expect(await child.exit()).toBe(130);
  });

  it('names all that is wrong with its environment, and exits with 2', async () => {
    const child = start('misconfigured');
    expect(await child.exit()).toBe(2);
    expect(child.stderr()).toBe("child can't start: its environment is incomplete or wrong.\n  SANDBOX_URL is missing: expected an http or https URL\n  OTHER_URL is wrong: expected an http or https URL\n");
  });

  it('says why it could not start, and exits with 1', async () => {
    const child = start('fail to start');
    expect(await child.exit()).toBe(1);
    expect(child.lines()).toEqual(expect.arrayContaining([expect.objectContaining({ level: 'fatal', err: expect.objectContaining({ message: 'no database' }) })]));
  });

  it.each(['throw once', 'reject once'])('lives on after a stray error (%s), and tells of it', async (behaviour) => {
    const child = start(behaviour);
    await child.ready();
    expect(child.lines()).toEqual(expect.arrayContaining([expect.objectContaining({ msg: 'nobody caught this error', count: 1 })]));
    child.process.kill('SIGTERM');
    expect(await child.exit()).toBe(0);
  });

  it('gives memory back in a lull after a burst', async () => {
    const child = start('burst, then rest');
    expect(await child.exit()).toBe(0);
  });

  it('gives up when errors keep coming', async () => {
    const child = start('throw for ever');
    expect(await child.exit()).toBe(1);
    expect(child.messages().filter((message) => message === 'nobody caught this error')).toHaveLength(10);
  });
});

function start(behaviour: string) {
  const child = spawn(process.execPath, [CHILD, behaviour], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const closed = once(child, 'close');
  const lines = (): Record<string, unknown>[] => stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Record<string, unknown>);
  const messages = (): unknown[] => lines().map((line) => line.msg);
  return {
    process: child,
    lines,
    messages,
    stderr: () => stderr,
    ready: async () => eventually(() => messages().includes('ready'), 'ready'),
    exit: async () => ((await closed) as [number])[0],
  };
}
