// One JSON line per event on stdout, in the same shape as the services' logs. Never a body, a key or an address.
const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 } as const;
type Level = keyof typeof LEVELS;

export type Log = Record<Level, (message: string, fields?: Record<string, unknown>) => void>;

export function createLog(level: string | undefined, write: (line: string) => void = (line) => void process.stdout.write(line)): Log {
  const least = LEVELS[level as Level] ?? LEVELS.info;
  const at = (name: Level) => (message: string, fields?: Record<string, unknown>) => {
    if (LEVELS[name] < least) return;
    write(`${JSON.stringify({ level: LEVELS[name], time: Date.now(), name: 'sandbox', ...fields, msg: message })}\n`);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
