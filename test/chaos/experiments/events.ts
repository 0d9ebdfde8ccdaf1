// The streams misbehave: poison, strangers, news out of order, two who say the same.
import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { headers, connect, type NatsConnection } from '@nats-io/transport-node';
import { jetstream } from '@nats-io/jetstream';
import { DeadLetterState } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { endOf, idOf } from '../../../cli/src/audit/ids.ts';
import { openStreams } from '../../../cli/src/audit/streams.ts';
import { type Service, SERVICES } from '../../../local/src/nats-permissions.ts';
import { natsLogin } from '../../../local/src/nats.ts';
import { freePort } from '../../../local/src/processes.ts';
import { EVENTS } from '../../../local/src/topology.ts';
import { deadLettersAt } from '../buyers/clients.ts';
import type { AuditRow } from '../checks/audit.ts';
import type { Broken, Context, Experiment } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { SAID, count, query } from '../system/databases.ts';
import { environmentOf } from '../system/environment.ts';
import type { System } from '../system/system.ts';
import { pause, until } from '../wait.ts';

const POISON: Lengths = { brief: 4, short: 6, full: 30 };
/** Whole, and nothing that payment could open an account for: tried for minutes before it is buried, so not in the brief form. */
const IMPOSSIBLE: Lengths = { brief: 0, short: 2, full: 10 };
const BURIED_LIMIT_MS = 240_000;
const OLD_NEWS: Lengths = { brief: 20, short: 40, full: 100 };
const OLD_NEWS_LIMIT_MS = 60_000;
const TWIN_KILLS: Lengths = { brief: 1, short: 2, full: 8 };
const MOST_BETWEEN_KILLS_MS: Lengths = { brief: 1_500, short: 2_000, full: 7_500 };
const LEAST_BETWEEN_KILLS_MS = 1_000;
const TWIN_READY_MS = 60_000;
/** A system of their own: what they put into the streams stays there. */
const ALONE = { CHAOS_FORGED_EVENTS: '1' };
const ORDER_PLACED = 'millrace.order.v1.OrderPlaced';
const ORDER_CANCELLED = 'millrace.order.v1.OrderCancelled';

const NO_UUID = 'no-uuid';
/** Ids of what this process has published in others' names. */
const FORGED: string[] = [];

type Strange = { subject: string; body: string; type: string; id?: string; version?: number };

/** Answers their ids. */
async function publish(system: System, as: 'order' | 'payment', events: Strange[]): Promise<string[]> {
  const { host } = new URL(system.runtime.nats);
  const connection: NatsConnection = await connect({ ...natsLogin(`nats://${as}:${encodeURIComponent(system.secret(`nats-${as}`))}@${host}`), inboxPrefix: `_INBOX_${as}` });
  try {
    const js = jetstream(connection);
    const ids: string[] = [];
    for (const { subject, body, type, id = randomUUID(), version = 1 } of events) {
      FORGED.push(id);
      ids.push(id);
      const h = headers();
      for (const [name, value] of Object.entries({ 'Nats-Msg-Id': randomUUID(), 'ce-specversion': '1.0', 'ce-id': id, 'ce-type': type, 'ce-source': `/millrace/${as}`, 'ce-subject': subject, 'ce-time': new Date().toISOString(), 'content-type': 'application/json', 'millrace-version': String(version) })) h.set(name, value);
      await js.publish(subject, body, { headers: h });
    }
    return ids;
  } finally {
    await connection.close();
  }
}

// The audit rightly finds that nobody's outbox knows these events. It names the first, and each must be one of them.
function withoutForged(row: AuditRow): AuditRow {
  const isForged = ({ what, problem }: AuditRow['first'][number]): boolean =>
    what === `event ${NO_UUID}` || (problem.includes('was never said by') && FORGED.some((id) => what.endsWith(endOf(idOf(id)))));
  // Those without a UUID look alike to it, and count as copies too.
  const most = FORGED.length + FORGED.filter((id) => id === NO_UUID).length;
  return row.invariant === 'I10' && row.violations <= most && row.first.every(isForged) ? { ...row, violations: 0, first: [] } : row;
}

async function openDeadLetters(system: System): Promise<number> {
  const counts = await Promise.all(SERVICES.map(async (service) => count(system, service, 'dead_letter WHERE state = 1')));
  return counts.reduce((sum, n) => sum + n, 0);
}

// Listed and discarded as an operator would: every one must be there and take its end.
async function discardAll({ system }: Context): Promise<void> {
  for (const service of SERVICES) {
    const client = deadLettersAt(system.runtime.services[service], system.runtime.tokens.admin);
    const { deadLetters } = await client.listDeadLetters({ pageSize: 500 });
    for (const { deadLetterId, state } of deadLetters) {
      if (state === DeadLetterState.OPEN) await client.discardDeadLetter({ deadLetterId, reason: 'made by the chaos suite' });
    }
  }
}

export const E24: Experiment = {
  id: 'E24',
  title: 'poison events among good ones',
  env: ALONE,
  judge: withoutForged,
  async run({ system, by, random }) {
    const many = by(POISON);
    const before = await openDeadLetters(system);
    const bad = Array.from({ length: many }, (_, i): Strange => {
      const subject = `orders.placed.poison-${i}-${Math.floor(random.next() * 1e9)}`;
      return random.pick([
        { subject, body: '{"order_id": ', type: ORDER_PLACED },
        { subject, body: '\u0000\u0001\u0002', type: ORDER_PLACED },
        { subject, body: '{"orderId": {"not": "a string"}}', type: ORDER_PLACED },
        { subject, body: '{}', type: ORDER_PLACED, id: NO_UUID },
      ]);
    });
    for (let i = 0; i < by(IMPOSSIBLE); i += 1) bad.push({ subject: `orders.placed.impossible-${i}`, type: ORDER_PLACED, body: `{"orderId": "impossible-${i}-${Math.floor(random.next() * 1e9)}"}` });
    for (const event of bad) {
      await publish(system, 'order', [event]);
      await pause(100);
    }
    // Payment and notification hear orders.placed: each must bury each.
    await until('the poison is buried', BURIED_LIMIT_MS, async () => (await openDeadLetters(system)) - before >= 2 * many + by(IMPOSSIBLE));
    return { count: (await openDeadLetters(system)) - before, what: 'dead letters' };
  },
  tidy: discardAll,
};

export const E25: Experiment = {
  id: 'E25',
  title: 'old news again, out of order, under new event ids',
  env: ALONE,
  judge: withoutForged,
  async run({ system, by, journal }) {
    // Payment's own events of paid orders, older versions last: order, inventory and notification must know better.
    const rows = await until('there are old news', OLD_NEWS_LIMIT_MS, async () => {
      const mine = journal.entries().filter(({ request, outcome }) => request.do === 'place' && outcome === 'ok').map(({ order_id }) => order_id);
      const found = await query<{ subject: string; type: string; body: string; aggregate_version: number }>(system, 'payment', `SELECT subject, type, body, aggregate_version FROM ${SAID} AND aggregate_id = ANY($1) ORDER BY aggregate_version DESC, position LIMIT 200`, [mine]);
      return found.length >= by(OLD_NEWS) && found;
    });
    await publish(system, 'payment', rows.map(({ subject, type, body, aggregate_version }) => ({ subject, type, body, version: aggregate_version })));
    return { count: rows.length, what: 'events told once more, newest first' };
  },
};

export const E26: Experiment = {
  id: 'E26',
  title: 'events of another version: unknown fields, enums and types',
  env: ALONE,
  judge: withoutForged,
  mix: { cancelled: 0.4 },
  async run({ system, name }) {
    const said = async (type: string): Promise<{ subject: string; body: string }> =>
      until(`there is a ${type}`, OLD_NEWS_LIMIT_MS, async () => (await query<{ subject: string; body: string }>(system, 'order', "SELECT subject, body FROM outbox WHERE type = $1 AND body LIKE '%' || $2 || '%' LIMIT 1", [type, name]))[0]);
    const [placed, cancelled] = [await said(ORDER_PLACED), await said(ORDER_CANCELLED)];
    const changed = (body: string, more: object): string => JSON.stringify({ ...(JSON.parse(body) as object), ...more });
    const ids = await publish(system, 'order', [
      { subject: placed.subject, type: ORDER_PLACED, body: changed(placed.body, { loyaltyTier: 'LOYALTY_TIER_GOLD', nested: { a: [1] } }) },
      { subject: placed.subject, type: 'millrace.order.v2.OrderPlaced', body: placed.body },
      { subject: cancelled.subject, type: ORDER_CANCELLED, body: changed(cancelled.body, { cause: 'CANCEL_CAUSE_FROM_TOMORROW' }) },
    ]);
    const heard = async (): Promise<number> => {
      const counts = await Promise.all(SERVICES.map(async (service) => count(system, service, '(SELECT event_id::text FROM inbox WHERE event_id = ANY($1::uuid[]) UNION SELECT event_id FROM dead_letter WHERE event_id = ANY($1::text[])) heard', [ids])));
      return counts.reduce((sum, n) => sum + n, 0);
    };
    const hearers = EVENTS.flatMap(({ subject, heardBy }) => (subject === 'orders.placed' ? [...heardBy, ...heardBy] : subject === 'orders.cancelled' ? heardBy : []));
    await until('every hearer has handled or buried each', BURIED_LIMIT_MS, async () => (await heard()) === hearers.length);
    return { count: ids.length, what: 'events of another version' };
  },
  tidy: discardAll,
};

export const E34: Experiment = {
  id: 'E34',
  title: 'two relays at once, and kill -9 between publish and mark',
  async run({ system, by, random, say }) {
    const twin = await startTwin(system, 'order');
    try {
      const before = await count(system, 'order', SAID);
      for (let i = 0; i < by(TWIN_KILLS); i += 1) {
        await pause(random.between(LEAST_BETWEEN_KILLS_MS, by(MOST_BETWEEN_KILLS_MS)));
        await system.kill(['order']);
      }
      await pause(2_000);
      const said = (await count(system, 'order', SAID)) - before;
      say(`the twin of order ran as ${twin.pid}`);
      return { count: said, what: 'events said by two relays' };
    } finally {
      await twin.stop();
    }
  },
  async check({ system }): Promise<Broken[]> {
    // Nothing between two relays may say one order's later event before its earlier one.
    const places = new Map<string, number>();
    const streams = await openStreams(system.runtime.nats);
    await streams.read('ORDERS', undefined, (id) => void (places.has(id) || places.set(id, places.size)));
    await streams.close();
    const rows = await query<{ event_id: string; aggregate_id: string }>(system, 'order', 'SELECT event_id, aggregate_id FROM outbox ORDER BY aggregate_id, aggregate_version');
    const late = rows.filter(({ event_id, aggregate_id }, i) => rows[i + 1]?.aggregate_id === aggregate_id && (places.get(event_id) ?? 0) > (places.get(rows[i + 1]?.event_id ?? '') ?? 0));
    return late.map(({ aggregate_id }) => ({ invariant: 'I12', what: aggregate_id, problem: 'a later event was said before an earlier one' }));
  },
};

/** A second instance of a service, as it would run on another machine. */
export async function startTwin(system: System, service: Service): Promise<{ pid: number; url: string; stop(): Promise<void> }> {
  const env = environmentOf(system, service);
  const port = await freePort();
  const child = spawn(process.execPath, [path.join(system.root, `services/${service}/src/main.ts`)], { cwd: system.root, env: { ...env, PORT: String(port) }, stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  await until('the twin is ready', TWIN_READY_MS, async () => (await fetch(`${url}/readyz`)).ok);
  return {
    pid: child.pid ?? 0,
    url,
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
