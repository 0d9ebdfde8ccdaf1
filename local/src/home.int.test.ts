import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { expect, test } from 'vitest';
import { newFolder } from '../../test/support/servers.ts';
import { lockHome, openHome, unlockHome } from './home.ts';
import { portPlan, refuseTakenPorts } from './ports.ts';
import { identify } from './processes.ts';

test('a secret stays the same over starts and is readable by its owner only', () => {
  const folder = path.join(newFolder('home'), 'inner');
  const made = openHome(folder).secret('postgres');
  expect(openHome(folder).secret('postgres')).toBe(made);
  expect(openHome(folder).secret('nats')).not.toBe(made);
  expect(statSync(path.join(folder, 'secrets.json')).mode & 0o777).toBe(0o600);
});

test('a home that cannot be used is refused with the reason', () => {
  const folder = newFolder('home');
  const file = path.join(folder, 'a-file');
  writeFileSync(file, '');
  expect(() => openHome(file)).toThrow(/can't be used: it is not a folder/);
  expect(() => openHome(path.join(file, 'below'))).toThrow(/can't be used: it is not a folder/);
  expect(() => openHome('/proc/millrace')).toThrow(/can't be used: no folder can be made there|may not write/);
});

test('a second launcher on the same home is refused; one that was killed is not in the way', () => {
  const home = openHome(newFolder('home'));
  lockHome(home);
  expect(() => lockHome(home)).toThrow(new RegExp(`already runs on .*\\(pid ${process.pid}\\).*npm stop`));
  unlockHome(home);
  writeFileSync(home.file('launcher.json'), JSON.stringify({ ...identify(process.pid), started: 'long ago' }));
  lockHome(home);
  expect(JSON.parse(readFileSync(home.file('launcher.json'), 'utf8'))).toEqual(identify(process.pid));
});

test('rights of a folder that was there before are left as they are', () => {
  const folder = newFolder('home');
  mkdirSync(path.join(folder, 'something'));
  const before = statSync(folder).mode;
  openHome(folder);
  expect(statSync(folder).mode).toBe(before);
});

test('a taken port is refused by number and name', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  await expect(refuseTakenPorts({ ...portPlan(1), edge: undefined, order: undefined, product: undefined, payment: undefined, notification: undefined, sandbox: undefined, nats: undefined, postgres: undefined, inventory: address.port })).rejects.toThrow(`${address.port} (inventory): taken`);
  server.close();
});
