// docker-compose.yml can't be run here; it is checked as data against what the launcher hands to the same processes.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { composeEnvironment } from './compose-env.ts';
import { type Plan, edgeEnvironment, sandboxEnvironment, serviceEnvironment } from './environment.ts';
import { MALLOC_ARENAS, heapFlags } from './heaps.ts';
import { ROOT } from './home.ts';
import { SERVICES } from './nats-permissions.ts';
import { natsConfig, passwordVariable } from './nats.ts';
import { portPlan } from './ports.ts';

type Container = { image: string; command: string[]; environment?: Record<string, string | number>; depends_on?: unknown; ports?: string[] };

const text = readFileSync(path.join(ROOT, 'docker-compose.yml'), 'utf8');
const { services } = parse(text, { merge: true }) as { services: Record<string, Container> };

const plan: Plan = {
  ports: portPlan(8080),
  outer: {},
  tokens: { jwks: '{}', people: { admin: '', buyer: '', buyer2: '', service: '' }, services: { order: '', product: '', inventory: '', payment: '', notification: '' } },
  secret: () => 'x',
  databaseUrl: () => '',
  natsUrl: () => '',
  sandboxData: '/data',
};

test('every process of the system is there, and what it needs first', () => {
  expect(Object.keys(services).toSorted()).toEqual(['edge', 'inventory', 'nats', 'notification', 'order', 'payment', 'postgres', 'product', 'sandbox', 'setup-nats', 'setup-postgres']);
  for (const service of SERVICES) {
    expect(services[service]?.command).toEqual(['node', `services/${service}/src/main.ts`]);
    expect(Object.keys(services[service]?.depends_on ?? {})).toEqual(['setup-postgres', 'setup-nats']);
  }
  expect(services.edge?.ports).toEqual(['127.0.0.1:8080:8080']);
});

const launched = Object.entries({ ...Object.fromEntries(SERVICES.map((service) => [service, serviceEnvironment(service, plan)])), edge: edgeEnvironment(plan), sandbox: sandboxEnvironment(plan) });

test.each(launched)('%s gets every variable that the launcher hands to the same process', (name, env) => {
  const needed = Object.keys(env).filter((variable) => name !== 'sandbox' || variable !== 'MILLRACE_JWKS');
  expect(Object.keys(services[name]?.environment ?? {})).toEqual(expect.arrayContaining(needed));
  expect(Number(services[name]?.environment?.PORT)).toBe(Number(env.PORT));
});

test('the image has the heap and the arenas of most processes', () => {
  expect(readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8')).toContain(`MALLOC_ARENA_MAX=${MALLOC_ARENAS} NODE_OPTIONS="${heapFlags().join(' ')}"`);
});

test.each(launched)('%s has the heap that the launcher gives the same process', (name) => {
  expect(services[name]?.environment?.NODE_OPTIONS ?? heapFlags().join(' ')).toBe(heapFlags(name).join(' '));
});

test('every variable that the file asks for is in the generated .env, or has a default', async () => {
  const given = Object.keys(await composeEnvironment());
  const asked = [...text.matchAll(/(?<!\$)\$\{(\w+)(:-)?/g)].filter(([, , hasDefault]) => !hasDefault).map(([, name]) => name);
  expect(given).toEqual(expect.arrayContaining([...new Set(asked)]));
});

test("the containers' broker configuration is the one that the topology asks for", () => {
  const committed = readFileSync(path.join(ROOT, 'deploy/nats.conf'), 'utf8');
  expect(committed, 'renew it: node local/src/setup-nats.ts --config > deploy/nats.conf').toBe(natsConfig({ listen: '0.0.0.0:4222', monitor: '0.0.0.0:8222', storeDir: '/data', password: passwordVariable, durable: true }));
});
