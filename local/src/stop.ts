// `npm stop`: ends the launcher that runs on this home, and what a killed one left behind.
import { existsSync } from 'node:fs';
import { homeFolder, lockHolder, openHome } from './home.ts';
import { isRunning, signal, until } from './processes.ts';
import { endLeftovers } from './registry.ts';
import { removeRuntime } from './runtime.ts';

/** The launcher promises five seconds. */
const DEADLINE_MS = 8_000;

async function stop(folder: string): Promise<string> {
  if (!existsSync(folder)) return `Nothing is running on ${folder}.`;
  const home = openHome(folder);
  const launcher = lockHolder(home);
  if (launcher) {
    signal(launcher, 'SIGTERM');
    if (await until(() => !isRunning(launcher), DEADLINE_MS)) return `Stopped (pid ${launcher.pid}).`;
    signal(launcher, 'SIGKILL');
    await until(() => !isRunning(launcher), 1_000);
  }
  const left = await endLeftovers(home);
  removeRuntime(home);
  if (launcher) return `The launcher (pid ${launcher.pid}) did not stop in time and was killed${left.length > 0 ? `, and with it ${left.join(', ')}` : ''}.`;
  return left.length > 0 ? `Ended what an earlier run left behind: ${left.join(', ')}.` : `Nothing is running on ${folder}.`;
}

if (import.meta.main) {
  try {
    process.stdout.write(`${await stop(homeFolder(process.env))}\n`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
