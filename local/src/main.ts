// The launcher: `npm start` ends up here once dependencies and generated code are there.
import { USAGE, readFlags } from '../flags.mjs';
import { detach } from './detach.ts';
import { providerWarnings } from './environment.ts';
import { homeFolder, lockHome, openHome, unlockHome } from './home.ts';
import { readPortBase } from './ports.ts';
import { welcome } from './runtime.ts';
import { type System, createSystem } from './start.ts';

/** npm, the shell and the terminal each pass the same Ctrl-C on: what comes within this time is one wish. */
const SAME_WISH_MS = 1_000;

async function main(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const flags = readFlags(args);
  if (flags.help) {
    say(USAGE);
    return 0;
  }
  if (flags.detach) return detach(args, env, say);
  const portBase = readPortBase(env.MILLRACE_PORT_BASE);
  const home = openHome(homeFolder(env));
  lockHome(home);
  try {
    const began = performance.now();
    const system = createSystem({ home, flags, portBase, env, say: (line) => say(`${seconds(began)}  ${line}`) });
    const wish = stopWish(system);
    for (const warning of providerWarnings(env)) say(warning);
    const started = system.start();
    const first = await Promise.race([started.catch((error: Error) => error), wish]);
    if (first instanceof Error) {
      await system.stop();
      throw first;
    }
    if (first !== 'stop') {
      say(`${welcome(home, first.runtime, first.demoSku)}(ready after ${seconds(began)})`);
      process.send?.('ready');
      await wish;
    }
    const asked = performance.now();
    say('stopping …');
    started.catch(() => {}); // a start cut short fails, as it should
    await system.stop();
    say(`stopped in ${seconds(asked)}`);
    return 0;
  } finally {
    unlockHome(home);
  }
}

// Resolves at the first wish to stop; a second one, later, kills everything at once.
async function stopWish(system: System): Promise<'stop'> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const wished = (): void => {
      if (first === undefined) {
        first = performance.now();
        resolve('stop');
      } else if (performance.now() - first > SAME_WISH_MS) {
        say('killed');
        system.kill();
        process.exit(1);
      }
    };
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, wished);
  });
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (import.meta.main) {
  // A supervisor that dies of a stray socket error takes nobody down but leaves everybody alone.
  process.on('uncaughtException', (error) => say(`unexpected: ${error.message}`));
  process.stdout.on('error', () => {}); // whoever read our output has gone; the system stays up
  try {
    process.exitCode = await main(process.argv.slice(2), process.env);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
  process.exit();
}
