// Real servers for integration tests: a database of one's own on the run's Postgres, a NATS server of one's own.
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { type NatsConnection, connect } from '@nats-io/transport-node';
import { Client } from 'pg';
import { inject } from 'vitest';
import { type Nats, natsLogin, startNats } from '../../local/src/nats.ts';
import { type Postgres, ensureDatabase, startPostgres } from '../../local/src/postgres.ts';
import { applyTopology } from '../../local/src/streams.ts';
import { track } from './run-folder.ts';

export type TestDatabase = AsyncDisposable & { name: string; url: string; drop: () => Promise<void> };
export type TestNats = Nats & AsyncDisposable & { connect: (user: string) => Promise<NatsConnection> };
export type TestPostgres = Postgres & AsyncDisposable & { createDatabase: (service: string) => Promise<string> };

const ROOT = path.resolve(import.meta.dirname, '../..');
const TEST_PASSWORD = 'test';
const TEST_STREAM_BYTES = 64 * 1024 ** 2;

/** A fresh database with this service's migrations applied, owned by a role that may enter no other. */
export async function createDatabase(service: string): Promise<TestDatabase> {
  const adminUrl = inject('postgresAdminUrl');
  const name = `${service}_${randomUUID().slice(0, 8)}`;
  const template = await templateOf(service, adminUrl);
  await asAdmin(adminUrl, async (admin) => {
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template} OWNER "${service}"`);
    await admin.query(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`);
  });
  const drop = async (): Promise<void> => {
    await asAdmin(adminUrl, (admin) => admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  };
  return { name, url: databaseUrl(adminUrl, name, service), drop, [Symbol.asyncDispose]: drop };
}

/** An empty database without tables, for what has no migrations of its own. */
export async function createEmptyDatabase(role = 'blank'): Promise<TestDatabase> {
  const adminUrl = inject('postgresAdminUrl');
  const name = `${role}_${randomUUID().slice(0, 8)}`;
  await locked(adminUrl, role, () => ensureDatabase(adminUrl, name, role, TEST_PASSWORD));
  const drop = async (): Promise<void> => {
    await asAdmin(adminUrl, (admin) => admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  };
  return { name, url: databaseUrl(adminUrl, name, role), drop, [Symbol.asyncDispose]: drop };
}

/** A NATS server of one's own with streams, consumers and users as in production. Stop it, or `await using` it. */
export async function startTestNats({ topology = true, port = 0, folder = newFolder('nats') } = {}): Promise<TestNats> {
  const nats = await startNats({ folder, port, password: () => TEST_PASSWORD, durable: false, binary: inject('natsServer') });
  track(inject('runFolder'), 'nats-server', nats.process.pid);
  const connectAs = async (user: string): Promise<NatsConnection> => connect({ ...natsLogin(nats.url(user)), ...(user === 'setup' || user === 'inspector' ? {} : { inboxPrefix: `_INBOX_${user}` }) });
  if (topology) {
    const setup = await connectAs('setup');
    await applyTopology(setup, TEST_STREAM_BYTES);
    await setup.close();
  }
  return { ...nats, connect: connectAs, [Symbol.asyncDispose]: nats.stop };
}

/** A Postgres of one's own, for tests that kill it. Its `createDatabase` returns the URL of a migrated database. */
export async function startTestPostgres({ port = 0, home = newFolder('postgres') } = {}): Promise<TestPostgres> {
  const postgres = await startPostgres({ home, port, adminPassword: TEST_PASSWORD, durable: false });
  track(inject('runFolder'), 'postgres', postgres.process.pid);
  const make = async (service: string): Promise<string> => {
    await ensureDatabase(postgres.adminUrl, service, service, TEST_PASSWORD);
    const url = postgres.url(service, service, TEST_PASSWORD);
    await migrateService(service, url);
    return url;
  };
  return { ...postgres, createDatabase: make, [Symbol.asyncDispose]: postgres.stop };
}

/** A folder that goes away with the run. */
export function newFolder(name: string): string {
  const folder = path.join(inject('runFolder'), `${name}-${randomUUID().slice(0, 8)}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Remembers a process that must not outlive the run: the run fails when it does. */
export function trackProcess(name: string, pid: number | undefined): void {
  track(inject('runFolder'), name, pid);
}

// Migrated once per run and service, then copied: whoever comes first makes it while the others wait.
async function templateOf(service: string, adminUrl: string): Promise<string> {
  const template = `template_${service}`;
  await locked(adminUrl, service, async (admin) => {
    const ready = await admin.query('SELECT FROM pg_database WHERE datname = $1 AND datistemplate', [template]);
    if (ready.rowCount) return;
    await admin.query(`DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    await ensureDatabase(adminUrl, template, service, TEST_PASSWORD);
    await migrateService(service, databaseUrl(adminUrl, template, service));
    await admin.query(`ALTER DATABASE ${template} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`);
  });
  return template;
}

async function migrateService(service: string, url: string): Promise<void> {
  const migrationsDir = path.join(ROOT, 'services', service, 'prisma', 'migrations');
  if (!existsSync(migrationsDir)) throw new Error(`${service} has no migrations (${migrationsDir})`);
  const { migrate } = await import('@millrace/chassis/database/migrate');
  await migrate({ databaseUrl: url, migrationsDir });
}

async function locked<T>(adminUrl: string, key: string, work: (admin: Client) => Promise<T>): Promise<T> {
  return asAdmin(adminUrl, async (admin) => {
    await admin.query('SELECT pg_advisory_lock(hashtext($1))', [key]);
    return work(admin); // the lock goes with the connection
  });
}

async function asAdmin<T>(adminUrl: string, work: (admin: Client) => Promise<T>): Promise<T> {
  const admin = new Client({ connectionString: adminUrl });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

function databaseUrl(adminUrl: string, database: string, role: string): string {
  const url = new URL(adminUrl);
  url.username = role;
  url.password = TEST_PASSWORD;
  url.pathname = `/${database}`;
  return url.href;
}

