// The systems that run now: started one at a time, and taken down when somebody stops us.
import { startSystem, type System, type SystemOptions } from './system.ts';

const START_TRIES = 3;
const up = new Set<System>();
let lastStart: Promise<unknown> = Promise.resolve();

/** One after the other: ten processes that all start at once are late on a busy machine. */
export async function start(options: SystemOptions, say: (line: string) => void): Promise<System> {
  const starting = lastStart.then(async () => startAgain(options, say));
  lastStart = starting.catch(() => {});
  const system = await starting;
  up.add(system);
  return system;
}

// A start that was too slow is no result; one that never succeeds is the end of the run.
async function startAgain(options: SystemOptions, say: (line: string) => void): Promise<System> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startSystem(options);
    } catch (error) {
      if (tries >= START_TRIES) throw error;
      say(`starting once more: ${(error as Error).message}`);
    }
  }
}

export async function stop(system: System, keepHome = false): Promise<void> {
  await system.stop(keepHome);
  up.delete(system);
}

export async function stopAll(): Promise<void> {
  await Promise.all([...up].map(async (system) => stop(system)));
}
