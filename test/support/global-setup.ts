// Once per test run: one throw-away Postgres for all, and a check that nothing outlives the run.
import { rmSync } from 'node:fs';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { findNatsServer } from '../../local/src/nats-binary.ts';
import { randomPassword, startPostgres } from '../../local/src/postgres.ts';
import { endAll, openRunFolder, stillRunning, track } from './run-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    runFolder: string;
    postgresAdminUrl: string;
    natsServer: string;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const folder = openRunFolder();
  const [postgres, natsServer] = await Promise.all([
    startPostgres({ home: path.join(folder, 'postgres'), port: 0, adminPassword: randomPassword(), durable: false }),
    findNatsServer(),
  ]);
  track(folder, 'postgres', postgres.process.pid);
  project.provide('runFolder', folder);
  project.provide('postgresAdminUrl', postgres.adminUrl);
  project.provide('natsServer', natsServer);

  return async () => {
    await postgres.stop();
    const left = stillRunning(folder);
    await endAll(left);
    rmSync(folder, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`The tests left running: ${left.map(({ name, pid }) => `${name} (${pid})`).join(', ')}. Stop what you start.`);
  };
}
