// "Something about this id has changed": wakes watchers in the same process, who then read the database.
export type Changes = {
  notify(id: string): void;
  /** True after a notify of one of the ids; false when time is up or the signal aborts. What happened before the call is not seen: call, then read, then await. */
  wait(ids: readonly string[], options: { signal: AbortSignal; timeoutMs: number }): Promise<boolean>;
};

export function createChanges(): Changes {
  const watchers = new Map<string, Set<() => void>>();
  return {
    notify(id) {
      for (const wake of watchers.get(id) ?? []) wake();
    },
    wait: async (ids, { signal, timeoutMs }) =>
      new Promise((resolve) => {
        const finish = (changed: boolean): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', giveUp);
          for (const id of ids) remove(watchers, id, wake);
          resolve(changed);
        };
        const wake = (): void => finish(true);
        const giveUp = (): void => finish(false);
        const timer = setTimeout(giveUp, timeoutMs);
        signal.addEventListener('abort', giveUp);
        for (const id of ids) add(watchers, id, wake);
        if (signal.aborted) giveUp();
      }),
  };
}

function add(watchers: Map<string, Set<() => void>>, id: string, wake: () => void): void {
  const set = watchers.get(id) ?? new Set();
  watchers.set(id, set.add(wake));
}

function remove(watchers: Map<string, Set<() => void>>, id: string, wake: () => void): void {
  const set = watchers.get(id);
  set?.delete(wake);
  if (set?.size === 0) watchers.delete(id);
}
