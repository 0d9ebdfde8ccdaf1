// Applies prisma/migrations with Prisma's own schema engine, the WebAssembly one: the same result as `prisma migrate deploy`,
// without the binary that it would download.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, DriverAdapterError } from '@prisma/driver-adapter-utils';
import pg from 'pg';

type Engine = { applyMigrations(input: unknown): Promise<{ appliedMigrationNames: string[] }>; free?(): void };
type Glue = { __wbg_set_wasm(exports: WebAssembly.Exports): void; SchemaEngine: { new: (options: unknown, log: (line: string) => void, adapter: unknown) => Promise<Engine> } };

let glue: Promise<Glue> | undefined;

/** Brings a database to the newest migration in `migrationsDir`; answers the names of those applied now. Concurrent runs wait for each other. */
export async function migrate({ databaseUrl, migrationsDir }: { databaseUrl: string; migrationsDir: string }): Promise<string[]> {
  const migrations = readMigrations(migrationsDir);
  // A pool of its own: the engine never closes its connections.
  const pool = new pg.Pool({ connectionString: databaseUrl });
  pool.on('error', () => {}); // the query in hand fails with it
  const client = await pool.connect();
  client.on('error', () => {});
  try {
    // Not the number of Prisma's own lock: the engine takes that one in a session of its own.
    await client.query(`SELECT pg_advisory_lock(hashtext('millrace migrate'))`);
    if (await upToDate(client, migrations.map((migration) => migration.path))) return [];
    await forgetInterrupted(client);
    const { SchemaEngine } = await (glue ??= loadEngine());
    const adapter = bindMigrationAwareSqlAdapterFactory(wholeScripts(pool));
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
  if (!(await hasTable(client))) return false;
  const { rows } = await client.query('SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL');
  const applied = new Set(rows.map((row) => row.migration_name as string));
  return names.every((name) => applied.has(name));
}

const INTERRUPTED = 'UPDATE _prisma_migrations SET %s = now() WHERE finished_at IS NULL AND rolled_back_at IS NULL';

// What a kill or a lost connection interrupted left nothing behind but its row, which would refuse every later start. (As
// `prisma migrate resolve --rolled-back` does; we hold the lock.)
async function forgetInterrupted(client: pg.PoolClient): Promise<void> {
  if (await hasTable(client)) await client.query(INTERRUPTED.replace('%s', 'rolled_back_at'));
}

// Prisma's adapter cuts a script at every semicolon and runs the pieces one by one: a kill would leave half a migration. Here
// the script and the note that it is done are one transaction.
function wholeScripts(pool: pg.Pool): PrismaPg {
  const factory = new PrismaPg(pool);
  const connect = factory.connect.bind(factory);
  factory.connect = async () => {
    const adapter = await connect();
    adapter.executeScript = async (script) => {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        await client.query(script);
        if (await hasTable(client)) await client.query(INTERRUPTED.replace('%s', 'finished_at'));
        await client.query('COMMIT');
        client.release();
      } catch (error) {
        client.release(true);
        // The engine tells the message of its own errors only.
        const { code = 'XX000', severity = 'ERROR', message, detail, column, hint } = error as pg.DatabaseError;
        throw new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint });
      }
    };
    return adapter;
  };
  return factory;
}

async function hasTable(client: pg.PoolClient): Promise<boolean> {
  const { rows } = await client.query(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS there`);
  return rows[0].there as boolean;
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
