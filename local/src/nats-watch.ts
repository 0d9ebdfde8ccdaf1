// A disk that was full leaves nats-server unhealthy for good, even with space again: only a restart heals it.
import { type ProcessId, endProcess } from './processes.ts';

const EVERY_MS = 5_000;
const FAILURES = 4; // a start or a long recovery may take some of them
const TIMEOUT_MS = 3_000;
const GRACE_MS = 2_000;

/** Ends the server after it was unhealthy several times in a row; whoever supervises it starts it again. */
export function watchNats(current: () => { monitor: string; process: ProcessId }, say: (line: string) => void, abort: AbortSignal): void {
  let failures = 0;
  const look = async (): Promise<void> => {
    const { monitor, process: known } = current();
    const answer = await fetch(`${monitor}/healthz`, { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => undefined);
    failures = answer?.ok ? 0 : failures + 1;
    if (failures < FAILURES || abort.aborted) return;
    failures = 0;
    say(`nats is not healthy (${answer ? (await answer.text()).slice(0, 200) : 'no answer'}); restarting it`);
    await endProcess(known, GRACE_MS);
  };
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look().finally(() => (looking = false));
  }, EVERY_MS).unref();
  abort.addEventListener('abort', () => clearInterval(timer));
}
