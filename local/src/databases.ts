// A database and a role for each service, with its migrations applied.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { migrate } from '@millrace/chassis/migrate';
import { ROOT } from './home.ts';
import { ensureDatabase } from './postgres.ts';

/** Makes database and role when missing and applies what is new. Returns the names of the migrations it applied. */
export async function prepareDatabase(adminUrl: string, service: string, databaseUrl: string): Promise<string[]> {
  const { username, password, pathname } = new URL(databaseUrl);
  await ensureDatabase(adminUrl, pathname.slice(1), decodeURIComponent(username), decodeURIComponent(password));
  const migrationsDir = path.join(ROOT, 'services', service, 'prisma', 'migrations');
  return existsSync(migrationsDir) ? migrate({ databaseUrl, migrationsDir }) : [];
}
