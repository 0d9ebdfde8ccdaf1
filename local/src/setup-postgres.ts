// One-shot: makes each service's database and role and applies its migrations, then ends.
// DATABASE_ADMIN_URL: an administrator. <SERVICE>_DATABASE_URL for each service: what that service will connect with.
import { prepareDatabase } from './databases.ts';
import { SERVICES } from './nats-permissions.ts';

async function setUp(env: NodeJS.ProcessEnv): Promise<void> {
  const names = ['DATABASE_ADMIN_URL', ...SERVICES.map((service) => `${service.toUpperCase()}_DATABASE_URL`)];
  const missing = names.filter((name) => !env[name]);
  if (missing.length > 0) throw new Error(`Not set: ${missing.join(', ')}`);
  for (const service of SERVICES) {
    const applied = await prepareDatabase(env.DATABASE_ADMIN_URL ?? '', service, env[`${service.toUpperCase()}_DATABASE_URL`] ?? '');
    process.stdout.write(`${JSON.stringify({ msg: 'database is ready', service, applied })}\n`);
  }
}

if (import.meta.main) await setUp(process.env);
