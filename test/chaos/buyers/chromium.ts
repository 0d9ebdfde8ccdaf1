// A real browser, if this machine has one: loads a page, runs what it would run, and goes.
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
/** Of the page's own clock. */
const RUN_MS = 1_500;
const LIMIT_MS = 40_000;

export function findChromium(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  return [process.env['CHROMIUM'] ?? '', ...folders.flatMap((folder) => NAMES.map((name) => path.join(folder, name)))].find(isExecutable);
}

/** Answers the page's elements after its scripts have run. */
export async function visit(chromium: string, url: string): Promise<string> {
  const profile = mkdtempSync(path.join(tmpdir(), 'millrace-chromium-'));
  // The sandbox of the browser itself needs rights that containers don't have; what it loads here is ours.
  const args = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', `--user-data-dir=${profile}`, `--virtual-time-budget=${RUN_MS}`, '--dump-dom', url];
  const child = spawn(chromium, args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: LIMIT_MS, killSignal: 'SIGKILL' });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  await new Promise<void>((resolve, reject) => child.once('error', reject).once('close', () => resolve()));
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  return text;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return file !== '';
  } catch {
    return false;
  }
}
