import { defineConfig } from 'vitest/config';

const folders = '{chassis,services,edge,sandbox,local,cli,test,bench}';
const elsewhere = ['**/node_modules/**'];
const servers = { globalSetup: ['test/support/global-setup.ts'], testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    pool: 'forks',
    // By default it leaves one core free; but most of a test is waiting for servers.
    maxWorkers: '100%',
    teardownTimeout: 20_000,
    projects: [
      // Pure tests: no server, no clock.
      { extends: true, test: { name: 'unit', include: [`${folders}/**/*.test.ts`], exclude: [...elsewhere, '**/*.int.test.ts'], testTimeout: 30_000, sequence: { groupOrder: 0 } } },
      // On a real Postgres, shared by the run, and a NATS server for each that asks.
      { extends: true, test: { ...servers, name: 'int', include: [`${folders}/**/*.int.test.ts`], exclude: [...elsewhere, 'test/journey/**'], sequence: { groupOrder: 0 } } },
      // The whole system, as the launcher starts it: ten processes and more, so one file at a time and after all others.
      { extends: true, test: { ...servers, name: 'journey', include: ['test/journey/**/*.int.test.ts'], maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
