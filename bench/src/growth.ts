// What an order costs when there are many already: the same load on a system with ten thousand orders, a hundred thousand, a million.
import { auditDatabases, rows } from './audit.ts';
import { AFTERWARDS, openBroker } from './consumers.ts';
import { createFiller } from './fill/fill.ts';
import type { Flags } from './flags.ts';
import { type Figure, type Sample, figure, measure, startLoader } from './measure.ts';
import { SETTLED_MS, quiet } from './quiet.ts';
import { RefusedError } from './refused.ts';
import { type System, until } from './system.ts';
import { warmUp } from './warm-up.ts';

/** `orders`: how many there were when the measuring began, those of the warm-up and of the sizes before among them. */
export type Growth = { orders: number; figure: Figure }[];

const SIZES = [10_000, 100_000, 1_000_000];
const QUICK_SIZES = [1_000, 10_000];
const SKUS = 1_000;
const CLIENTS = 64;

export async function measureGrowth(system: System, flags: Pick<Flags, 'quick' | 'rounds'>, say: (line: string) => void): Promise<Growth> {
  const { edge, services, tokens, postgres } = system.runtime;
  const sizes = flags.quick ? QUICK_SIZES : SIZES;
  const [loader, broker] = [startLoader(), await openBroker(system.setupUrl)];
  let sequence = 0;
  const place = (task: { ms: number; calls?: number }) =>
    measure(system, loader, { kind: 'place', url: services.order, token: tokens.service, run: `growth-${++sequence}`, prefix: 'spread', skus: SKUS, lines: 1, clients: CLIENTS, ...task });
  try {
    const fill = await createFiller(system, broker, sizes.at(-1) ?? 0);
    await loader.run({ kind: 'import', url: edge, token: tokens.admin, prefix: 'spread', from: 0, count: SKUS, stock: 1_000_000 });
    await until(async () => (await rows(postgres.inventory, "SELECT FROM stock WHERE sku LIKE 'spread-%' AND opened")).length >= SKUS, SETTLED_MS);
    await broker.hold(AFTERWARDS);
    await warmUp([(calls) => place({ ms: SETTLED_MS, calls })], flags);
    await broker.release(AFTERWARDS);
    const growth: Growth = [];
    for (const size of sizes) {
      say(`${size} orders`);
      // Copied events count as said, and with them whatever else is waiting to be said meanwhile: nothing may be.
      await quiet(broker, system);
      await fill(size);
      // What filling left to be written is written now, not while an order is measured.
      await rows(system.adminUrl, 'CHECKPOINT');
      await broker.hold(AFTERWARDS);
      const [{ orders } = { orders: 0 }] = await rows<{ orders: number }>(postgres.order, 'SELECT count(*)::int AS orders FROM orders');
      const samples: Sample[] = [];
      for (let round = 0; round < flags.rounds; round += 1) samples.push(await place({ ms: flags.quick ? 1_200 : 3_000 }));
      await broker.release(AFTERWARDS);
      growth.push({ orders, figure: figure(samples) });
    }
    await quiet(broker, system);
    say('audit');
    const problems = [...system.objections(), ...(await auditDatabases(system))];
    if (problems.length > 0) throw new RefusedError(problems);
    return growth;
  } finally {
    loader.end();
    await broker.close();
  }
}
