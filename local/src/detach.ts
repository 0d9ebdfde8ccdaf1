// `npm start -- --detach`: the launcher in the background. Comes back when it is ready, or says why it did not get there.
import { spawn } from 'node:child_process';
import { closeSync, readFileSync, renameSync, statSync } from 'node:fs';
import { homeFolder, lockHolder, openHome } from './home.ts';
import { openLog } from './log-files.ts';

const MAX_LOG_BYTES = 8 * 1024 * 1024;

export async function detach(args: string[], env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<number> {
  const home = openHome(homeFolder(env));
  const running = lockHolder(home);
  if (running) throw new Error(`Millrace already runs on ${home.folder} (pid ${running.pid}). Stop it with: npm stop`);
  const logFile = home.file('logs', 'launcher.log');
  const before = sizeOf(logFile);
  if (before > MAX_LOG_BYTES) renameSync(logFile, `${logFile}.1`);
  const from = sizeOf(logFile);
  const log = openLog(logFile);
  const rest = args.filter((arg) => arg !== '--detach');
  const child = spawn(process.execPath, [new URL('main.ts', import.meta.url).pathname, ...rest], { env, detached: true, stdio: ['ignore', log, log, 'ipc'] });
  closeSync(log);
  const stopChild = (): void => void child.kill('SIGTERM');
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, stopChild);
  const outcome = await new Promise<'ready' | 'ended'>((resolve, reject) => {
    child.once('message', () => resolve('ready'));
    child.once('exit', () => resolve('ended'));
    child.once('error', reject);
  });
  say(readFileSync(logFile).subarray(from).toString('utf8').trimEnd());
  if (outcome === 'ended') return 1;
  child.disconnect();
  child.unref();
  say(`\nIt runs in the background (pid ${child.pid}, log ${logFile}). Stop it with: npm stop`);
  return 0;
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
