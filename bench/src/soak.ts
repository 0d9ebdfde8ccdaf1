// `--soak MINUTES`: whole journeys at a steady pace, and what becomes of tables, dead rows and memory meanwhile.
import { auditAtRest, rows } from './audit.ts';
import { openBroker } from './consumers.ts';
import { percentile } from './histogram.ts';
import type { Journey } from './load-journey.ts';
import { startLoader, weigh } from './measure.ts';
import { SETTLED_MS, quiet } from './quiet.ts';
import { RefusedError } from './refused.ts';
import { type System, until } from './system.ts';

/** `megabytes` of all five databases' tables with their indexes; `dead` and `rows` of those that grow with every event. */
export type Look = { minute: number; rate: number; p99: number; orders: number; unpublished: number; rows: Record<string, number>; dead: Record<string, number>; megabytes: number; memory: number };

/** Tables that every service has and every event goes through, and the ones that are changed in place the most. */
const WATCHED = ['outbox', 'inbox', 'orders', 'stock', 'payment', 'notification'];
const SKUS = 1_000;
/** Orders on their way at once: below what the machine can do, so that a queue that grows is the system's own fault. */
const UNDERWAY = 50;
/** Looks in a run, so that a table of it fits a page. */
const LOOKS = 15;

export async function soak(system: System, minutes: number, say: (line: string) => void): Promise<Look[]> {
  const { edge, tokens, postgres, nats } = system.runtime;
  const [loader, broker] = [startLoader(), await openBroker(system.setupUrl)];
  try {
    await loader.run({ kind: 'import', url: edge, token: tokens.admin, prefix: 'spread', from: 0, count: SKUS, stock: 1_000_000 });
    await until(async () => (await rows(postgres.inventory, 'SELECT FROM stock WHERE opened')).length >= SKUS, SETTLED_MS);
    const sliceMs = (minutes * 60_000) / LOOKS;
    const looks: Look[] = [];
    for (let n = 0; n < LOOKS; n += 1) {
      const seen = await loader.run<Journey>({ kind: 'journey', url: edge, token: tokens.service, nats, run: `soak-${n}`, ms: sliceMs, rampMs: 0, underway: UNDERWAY, prefix: 'spread', skus: SKUS, lines: 1 });
      if (seen.stillOpen > 0) throw new RefusedError([`${seen.stillOpen} journeys of ${seen.placed} did not end`]);
      const look = await lookAt(((n + 1) * sliceMs) / 60_000, seen);
      looks.push(look);
      say(`minute ${look.minute.toFixed(1)}: ${Math.round(look.rate)} orders/s, ${Math.round(look.memory)} MB of memory, ${Math.round(look.megabytes)} MB of tables`);
    }
    await quiet(broker, system);
    const problems = [...system.objections(), ...(await auditAtRest(system))];
    if (problems.length > 0) throw new RefusedError(problems);
    return looks;
  } finally {
    loader.end();
    await broker.close();
  }

  async function lookAt(minute: number, { placed, ms, latencies }: Journey): Promise<Look> {
    const look: Look = { minute, rate: (placed / ms) * 1_000, p99: percentile(latencies, 0.99), orders: 0, unpublished: 0, rows: {}, dead: {}, megabytes: 0, memory: weigh(system, loader).pss };
    for (const url of Object.values(postgres)) {
      const tables = await rows<{ name: string; live: string; dead: string; bytes: string }>(url, 'SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead, pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables');
      for (const { name, live, dead, bytes } of tables) {
        look.megabytes += Number(bytes) / 1024 ** 2;
        if (!WATCHED.includes(name)) continue;
        look.rows[name] = (look.rows[name] ?? 0) + Number(live);
        look.dead[name] = (look.dead[name] ?? 0) + Number(dead);
      }
      look.unpublished += Number((await rows<{ count: string }>(url, 'SELECT count(*) FROM outbox_unpublished'))[0]?.count);
    }
    look.orders = Number((await rows<{ count: string }>(postgres.order, 'SELECT count(*) FROM orders'))[0]?.count);
    return look;
  }
}

export function soakTable(looks: Look[]): string {
  const head = ['minute', 'orders/s', 'p99 ms', 'orders', 'memory MB', 'tables MB', 'kB an order', 'not published', ...WATCHED.map((name) => `${name} (dead)`)];
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  const lines = looks.map((look) => [
    look.minute.toFixed(1), whole(look.rate), whole(look.p99), whole(look.orders), whole(look.memory), whole(look.megabytes), ((look.megabytes * 1_024) / Math.max(1, look.orders)).toFixed(1), whole(look.unpublished),
    ...WATCHED.map((name) => `${whole(look.rows[name] ?? 0)} (${whole(look.dead[name] ?? 0)})`),
  ]);
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
