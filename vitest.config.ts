import { defineConfig } from 'vitest/config';

const folders = '{chassis,services,edge,sandbox,local,cli,test,bench}';

export default defineConfig({
  test: {
    pool: 'forks',
    teardownTimeout: 20_000,
    projects: [
      // Pure tests: no server, no clock.
      { extends: true, test: { name: 'unit', include: [`${folders}/**/*.test.ts`], exclude: ['**/node_modules/**', '**/*.int.test.ts'], testTimeout: 15_000 } },
      // On a real Postgres, shared by the run, and a NATS server for each that asks.
      { extends: true, test: { name: 'int', include: [`${folders}/**/*.int.test.ts`], exclude: ['**/node_modules/**'], globalSetup: ['test/support/global-setup.ts'], testTimeout: 60_000, hookTimeout: 60_000 } },
    ],
  },
});
