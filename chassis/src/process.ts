// A process around one start function: signals, exit codes, and what happens to errors that nobody caught.
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ConfigError, type Env } from './config.ts';
import { type Log, createLog } from './telemetry/log.ts';
import { countUncaught } from './telemetry/uncaught.ts';

type Stoppable = { name: string; stop(): Promise<void> };

export const EXIT = { ok: 0, failed: 1, misconfigured: 2, interruptedTwice: 130 };

/** Orchestrators kill after 30 s; by then the reason should be in the log. */
const STOP_LIMIT_MS = 25_000;
/** A stray socket error is not worth five services' connections: what matters is in transactions. But a process that keeps throwing is broken. */
const MAX_UNCAUGHT = 10;
const UNCAUGHT_WINDOW_MS = 60_000;
/**
 * V8 takes what a full young generation still holds for long-lived, and makes objects of that kind in the old one from then on. Here that is whatever
 * belongs to the calls under way, and each would keep all that it points to until a major collection. Not a flag that NODE_OPTIONS takes.
 */
const NO_PRETENURING = '--no-allocation-site-pretenuring';
/** How a process collects its garbage: what V8 is told beside NO_PRETENURING, and whether memory is given back in lulls. */
export type Collecting = { v8Flags: string[]; inLulls: boolean };
/**
 * For a process that buyers wait for. After eight idle seconds V8 gives memory back, and with it what it knows of the shapes of objects: the code that
 * was compiled for them is thrown away, and the next burst pays for it once more, about a tenth of what its orders cost the process.
 */
export const STAY_WARM: Collecting = { v8Flags: ['--no-memory-reducer'], inLulls: false };
/** For a process that nobody waits for. */
const GIVE_BACK: Collecting = { v8Flags: [], inLulls: true };
/**
 * For a process whose calls keep much beyond the young generation, though not for long. V8 begins a major collection as soon as a third of the room that
 * it left at the last one is used, once a second under load; so it takes a half. That is a few megabytes more, and an eighth less CPU time.
 */
export const RARER_MAJOR_COLLECTIONS: Collecting = { ...GIVE_BACK, v8Flags: ['--incremental-marking-soft-trigger=50', '--incremental-marking-hard-trigger=85'] };
/** A lull is so long, with no more than this share of it spent on work: idle, a process on a slow machine spends a fiftieth. */
const LULL_MS = 5_000;
const LULL_UTILIZATION = 0.1;

/**
 * Starts, stops at SIGTERM or SIGINT, and exits: 0 after a stop in order, 2 when the environment is wrong, 1 otherwise. Never returns in a process
 * that serves.
 */
export async function runProcess(start: (env: Env, signal: AbortSignal) => Promise<Stoppable>, { v8Flags, inLulls }: Collecting = GIVE_BACK): Promise<void> {
  for (const flag of [NO_PRETENURING, ...v8Flags, '--expose-gc']) setFlagsFromString(flag);
  const log = createLog(process.env.npm_package_name ?? 'process', 'info');
  const stop = new AbortController();
  onStopSignal(log, stop);
  catchStrays(log);
  try {
    const running = await start(process.env, stop.signal);
    // What starting and practising took is garbage by now, some 20 MB; what lives is also what V8 measures the next collections by.
    collect({ type: 'major' });
    if (inLulls) collectInLulls();
    await aborted(stop.signal);
    setTimeout(() => exit(log, EXIT.failed, 'stopping took too long'), STOP_LIMIT_MS).unref();
    await running.stop();
    exit(log, EXIT.ok, 'stopped');
  } catch (error) {
    if (error instanceof ConfigError) misconfigured(log, error);
    if (stop.signal.aborted) exit(log, EXIT.ok, 'stopped before it had started');
    log.fatal({ err: error }, 'could not start or stop');
    exit(log, EXIT.failed, 'exiting');
  }
}

/**
 * After each burst. V8 has a reducer of its own, which only a collection wakes, and where nothing is allocated none comes: what the last burst left
 * would stay until the next one.
 */
function collectInLulls(): void {
  let [before, worked] = [performance.eventLoopUtilization(), false];
  setInterval(() => {
    const { utilization } = performance.eventLoopUtilization(before);
    before = performance.eventLoopUtilization();
    // The last resort, because any other keeps the pages that it has emptied.
    if (worked && utilization < LULL_UTILIZATION) collect({ type: 'major', flavor: 'last-resort' });
    worked = utilization >= LULL_UTILIZATION;
  }, LULL_MS).unref();
}

function collect(how: NodeJS.GCOptions): void {
  (runInNewContext('gc') as NodeJS.GCFunction)(how);
}

function onStopSignal(log: Log, stop: AbortController): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) exit(log, EXIT.interruptedTwice, 'interrupted again, not waiting');
      log.info({ signal }, 'stopping');
      stop.abort();
    });
  }
}

// Rejections nobody handles arrive here too.
function catchStrays(log: Log): void {
  let recent: number[] = [];
  process.on('uncaughtException', (error, origin) => {
    const now = performance.now();
    recent = [...recent.filter((time) => now - time < UNCAUGHT_WINDOW_MS), now];
    log.fatal({ err: error, origin, count: countUncaught() }, 'nobody caught this error');
    if (recent.length >= MAX_UNCAUGHT) exit(log, EXIT.failed, 'too many uncaught errors');
  });
}

// For people on stderr, for machines on stdout.
function misconfigured(log: Log, error: ConfigError): never {
  process.stderr.write(`${error.message}\n`);
  log.fatal({ problems: error.problems }, 'the environment is incomplete or wrong');
  process.exit(EXIT.misconfigured);
}

function exit(log: Log, code: number, message: string): never {
  log[code === EXIT.ok ? 'info' : 'error']({ code }, message);
  process.exit(code);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
