// Applies prisma/migrations with Prisma's own schema engine, the WebAssembly one: the same result as `prisma migrate deploy`,
// without the binary that it would download.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import pg from 'pg';

type Engine = { applyMigrations(input: unknown): Promise<{ appliedMigrationNames: string[] }>; free?(): void };
type Glue = { __wbg_set_wasm(exports: WebAssembly.Exports): void; SchemaEngine: { new: (options: unknown, log: (line: string) => void, adapter: unknown) => Promise<Engine> } };

let glue: Promise<Glue> | undefined;

/** Brings a database to the newest migration in `migrationsDir`; answers the names of those applied now. Concurrent runs wait for each other. */
export async function migrate({ databaseUrl, migrationsDir }: { databaseUrl: string; migrationsDir: string }): Promise<string[]> {
  const migrations = readMigrations(migrationsDir);
  // A pool of its own: the engine never closes its connections.
  const pool = new pg.Pool({ connectionString: databaseUrl });
  const client = await pool.connect();
  try {
    // Not the number of Prisma's own lock: the engine takes that one in a session of its own.
    await client.query(`SELECT pg_advisory_lock(hashtext('millrace migrate'))`);
    if (await upToDate(client, migrations.map((migration) => migration.path))) return [];
    const { SchemaEngine } = await (glue ??= loadEngine());
    const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool));
    const engine = await SchemaEngine.new({ datamodels: null }, () => {}, adapter);
    const { appliedMigrationNames } = await engine.applyMigrations({
      migrationsList: {
        baseDir: migrationsDir,
        lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
        shadowDbInitScript: '',
        migrationDirectories: migrations,
      },
      filters: { externalTables: [], externalEnums: [] },
    });
    engine.free?.();
    return appliedMigrationNames;
  } finally {
    client.release(true);
    await pool.end();
  }
}

function readMigrations(dir: string): { path: string; migrationFile: { path: string; content: { tag: 'ok'; value: string } } }[] {
  const names = fs.readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
  return names.map((name) => ({
    path: name,
    migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: fs.readFileSync(path.join(dir, name, 'migration.sql'), 'utf8') } },
  }));
}

/** Loading the engine takes longer than a whole start without it. */
async function upToDate(client: pg.PoolClient, names: string[]): Promise<boolean> {
  const { rows: tables } = await client.query(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS there`);
  if (!tables[0].there) return false;
  const { rows } = await client.query('SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL');
  const applied = new Set(rows.map((row) => row.migration_name as string));
  return names.every((name) => applied.has(name));
}

async function loadEngine(): Promise<Glue> {
  const folder = path.dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg'));
  const loaded = (await import(pathToFileURL(path.join(folder, 'schema_engine_bg.js')).href)) as Glue;
  const wasm = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(path.join(folder, 'schema_engine_bg.wasm'))), {
    './schema_engine_bg.js': loaded as unknown as WebAssembly.ModuleImports,
  });
  loaded.__wbg_set_wasm(wasm.exports);
  (wasm.exports['__wbindgen_start'] as (() => void) | undefined)?.();
  return loaded;
}
