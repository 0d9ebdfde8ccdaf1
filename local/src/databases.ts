// A database for each service, its migrations applied, and two roles: one that has the tables, one that works with them.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { migrate } from '@millrace/chassis/database/migrate';
import { Client, escapeIdentifier } from 'pg';
import { ROOT } from './home.ts';
import { ensureDatabase } from './postgres.ts';

/** Makes database and roles when missing and applies what is new. Returns the names of the migrations it applied. */
export async function prepareDatabase(adminUrl: string, service: string, databaseUrl: string): Promise<string[]> {
  const { username, password, pathname } = new URL(databaseUrl);
  const [database, role] = [pathname.slice(1), decodeURIComponent(username)];
  // A service that had its tables could also drop them, and the trigger that guards the ledger.
  const owner = `${role}_owner`;
  await ensureDatabase(adminUrl, database, role, decodeURIComponent(password), owner);
  const migrationsDir = path.join(ROOT, 'services', service, 'prisma', 'migrations');
  if (!existsSync(migrationsDir)) return [];
  await within(adminUrl, database, (admin) => takeOver(admin, role, owner));
  const applied = await migrate({ databaseUrl: asOwner(adminUrl, database, owner), migrationsDir });
  await within(asOwner(adminUrl, database, owner), database, (client) => grantUse(client, role));
  return applied;
}

/** In databases from before there were owners, the service has the tables. */
async function takeOver(admin: Client, role: string, owner: string): Promise<void> {
  const owned = await admin.query("SELECT FROM pg_tables WHERE schemaname = 'public' AND tableowner = $1 LIMIT 1", [role]);
  if (owned.rowCount) await admin.query(`REASSIGN OWNED BY ${escapeIdentifier(role)} TO ${escapeIdentifier(owner)}`);
}

/** Rows, not tables; and what was migrated is not the service's to write. */
async function grantUse(owner: Client, role: string): Promise<void> {
  const user = escapeIdentifier(role);
  await owner.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${user}`);
  await owner.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${user}`);
  await owner.query(`REVOKE INSERT, UPDATE, DELETE ON _prisma_migrations FROM ${user}`);
}

/** The administrator, acting as a role that nobody can log in as. */
function asOwner(adminUrl: string, database: string, owner: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  url.searchParams.set('options', `-c role=${owner}`);
  return url.href;
}

async function within(url: string, database: string, work: (client: Client) => Promise<void>): Promise<void> {
  const there = new URL(url);
  there.pathname = `/${database}`;
  const client = new Client({ connectionString: there.href });
  client.on('error', () => {}); // the query in hand fails with it
  await client.connect();
  try {
    await client.query(`SELECT pg_advisory_lock(hashtext('millrace roles'))`); // two that grant at once fail; goes with the connection
    await work(client);
  } finally {
    await client.end();
  }
}
