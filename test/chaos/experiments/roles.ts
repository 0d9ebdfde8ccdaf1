// A service's database password in the wrong hands: other databases, tables, roles, files and the ledger must be out of reach.
import { Client, type DatabaseError } from 'pg';
import { type Service, SERVICES } from '../../../local/src/nats-permissions.ts';
import { attack } from '../attack.ts';
import type { Tally } from '../checks/tally.ts';
import type { Context } from '../experiment.ts';
import type { System } from '../system/system.ts';

/** insufficient_privilege, and what the ledger's trigger says. */
const DENIED = ['42501', '23000'];
/** Not let in: a wrong password, a role without a login, no right on the database, a database for nobody. */
const SHUT_OUT = ['28P01', '28000', '42501', '55000'];
const ADMIN = 'millrace_admin';

/** Never within a transaction; each is refused before it begins. */
const CLUSTER = [
  'CREATE DATABASE a13', 'DROP DATABASE postgres', 'ALTER DATABASE postgres SET work_mem = $$1GB$$', 'CREATE ROLE a13 SUPERUSER', 'ALTER SYSTEM SET fsync = off', "CREATE TABLESPACE a13 LOCATION '/tmp'", "CREATE SUBSCRIPTION a13 CONNECTION 'host=127.0.0.1' PUBLICATION a13",
  `ALTER ROLE ${ADMIN} PASSWORD NULL`, `DROP ROLE ${ADMIN}`, `SET ROLE ${ADMIN}`, `SET SESSION AUTHORIZATION ${ADMIN}`, `REASSIGN OWNED BY ${ADMIN} TO CURRENT_USER`, `GRANT ${ADMIN} TO CURRENT_USER`, 'GRANT pg_read_all_data TO CURRENT_USER', 'ALTER ROLE CURRENT_USER SUPERUSER', 'ALTER ROLE CURRENT_USER CREATEDB CREATEROLE',
];
const FILES_AND_PROCESSES = [
  "SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "SELECT pg_stat_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')", "SELECT lo_export(1, '/tmp/a13')", "COPY (SELECT 1) TO PROGRAM 'id'", "COPY (SELECT 1) TO '/tmp/a13'", "LOAD '/tmp/a13.so'",
  'SELECT pg_reload_conf()', 'SELECT pg_rotate_logfile()', 'SELECT pg_switch_wal()', `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user LIMIT 1`, 'SELECT * FROM pg_authid', 'SELECT * FROM pg_hba_file_rules', 'SET session_replication_role = replica', 'SET log_statement = $$all$$',
];
const OBJECTS = [
  'CREATE TABLE a13 ()', 'CREATE TEMPORARY TABLE a13 ()', 'CREATE SCHEMA a13', 'CREATE VIEW a13 AS SELECT 1', 'CREATE SEQUENCE a13', 'CREATE TYPE a13 AS ENUM ()', 'CREATE FUNCTION a13() RETURNS int LANGUAGE sql RETURN 1', "CREATE FUNCTION a13() RETURNS int LANGUAGE c AS 'libc', 'system'", 'CREATE PUBLICATION a13 FOR ALL TABLES', 'CREATE EVENT TRIGGER a13 ON ddl_command_start EXECUTE FUNCTION pg_notify()',
  'DROP SCHEMA public CASCADE', 'DELETE FROM _prisma_migrations', "UPDATE _prisma_migrations SET checksum = ''", 'DROP TABLE _prisma_migrations',
];
const TABLE = ['DROP TABLE %', 'TRUNCATE %', 'ALTER TABLE % ADD COLUMN a13 int', 'ALTER TABLE % DISABLE TRIGGER ALL', 'ALTER TABLE % OWNER TO CURRENT_USER', 'CREATE INDEX ON % ((1))', 'CREATE RULE a13 AS ON INSERT TO % DO INSTEAD NOTHING', 'CREATE TRIGGER a13 BEFORE INSERT ON % EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'COMMENT ON TABLE % IS $$a13$$'];
const LEDGER = ['UPDATE movement SET on_hand_delta = 0', 'DELETE FROM movement', 'TRUNCATE movement', 'DROP TRIGGER movement_append_only ON movement', 'CREATE OR REPLACE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$', 'DROP FUNCTION refuse_ledger_change CASCADE'];

export const A13 = attack({
  id: 'A13',
  title: 'every database role tries what is not theirs',
  tries: 'statements and logins',
  changesNothing: true,
  async round({ system }: Context, tries) {
    for (const service of SERVICES) {
      await logins(system, service, tries);
      await statements(system, service, tries);
    }
  },
});

async function logins({ runtime: { postgres } }: System, service: Service, tries: Tally): Promise<void> {
  const as = (change: (url: URL) => void): string => {
    const url = new URL(postgres[service]);
    change(url);
    return url.href;
  };
  const doors: Record<string, string> = Object.fromEntries([
    ...[...SERVICES.filter((name) => name !== service), 'postgres', 'template0', 'template1'].map((database) => [`the database ${database}`, as((url) => (url.pathname = `/${database}`))]),
    ...[...SERVICES.filter((name) => name !== service), ADMIN, `${service}_owner`].map((user) => [`the role ${user}`, as((url) => (url.username = user))]),
    ['no password', as((url) => (url.password = ''))], ['another\'s password', as((url) => (url.password = new URL(postgres[service === 'order' ? 'payment' : 'order']).password))], ['the owner\'s role at the start', as((url) => url.searchParams.set('options', `-c role=${service}_owner`))],
  ]);
  for (const [what, url] of Object.entries(doors)) {
    const client = new Client({ connectionString: url });
    client.on('error', () => {});
    const code = await client.connect().then(() => 'in', (error: unknown) => (error as DatabaseError).code ?? (error as Error).message);
    await client.end().catch(() => {});
    tries.look(`${service} at ${what}`, SHUT_OUT.includes(code) || code.startsWith('SASL') ? undefined : `answered ${code}`);
  }
}

async function statements({ runtime: { postgres } }: System, service: Service, tries: Tally): Promise<void> {
  const client = new Client({ connectionString: postgres[service] });
  client.on('error', () => {});
  await client.connect();
  try {
    const codeOf = async (statement: string): Promise<string> => client.query(statement).then(() => 'done', (error: unknown) => (error as DatabaseError).code ?? 'none');
    const denied = (statement: string, code: string): void => tries.look(`${service}: ${statement}`, DENIED.includes(code) ? undefined : `answered ${code}`);
    for (const statement of CLUSTER) denied(statement, await codeOf(statement));
    const { rows } = await client.query<{ name: string }>("SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'");
    const tables = rows.flatMap(({ name }) => TABLE.map((form) => form.replace('%', name)));
    for (const statement of [...FILES_AND_PROCESSES, ...OBJECTS, ...tables, ...(service === 'inventory' ? LEDGER : [])]) {
      // Nothing stays, even if it should be possible.
      await client.query('BEGIN');
      const code = await codeOf(statement);
      await client.query('ROLLBACK');
      denied(statement, code);
    }
  } finally {
    await client.end();
  }
}
