// Brings payments and refunds that are under way to their end when they are due.
import type { Sandbox } from '../sandbox.ts';
import { hooksOf } from './call.ts';
import { settleDue } from './intent-steps.ts';

const LOOK_EVERY_MS = 200;

export function startSettler(sandbox: Sandbox): () => void {
  const timer = setInterval(() => {
    if (sandbox.store.unsettled.size === 0) return;
    try {
      settleAll(sandbox, sandbox.now());
    } catch (error) {
      sandbox.log.error('could not settle', { error: String(error) });
    }
  }, LOOK_EVERY_MS);
  return () => clearInterval(timer);
}

export function settleAll({ store, config }: Pick<Sandbox, 'store' | 'config'>, now: number): void {
  const due = [...store.unsettled].filter(([, at]) => at <= now);
  for (const [id] of due) {
    const change = settleDue({ store, at: now, requestId: null, hooks: hooksOf(config), decline: false }, id);
    if (change) store.append({ at: now, ...change });
  }
}
