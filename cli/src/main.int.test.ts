// The command against real servers: what it prints, and the exit codes that scripts rely on.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type House, SKU, openHouse, until } from '../../test/interop/stubs.ts';
import { runCli } from './main.ts';

let house: House;
let home: string;
/** What the latest command has printed so far. */
let printed: string;
beforeAll(async () => {
  house = await openHouse();
  home = mkdtempSync(path.join(tmpdir(), 'millrace-cli-'));
  writeFileSync(path.join(home, 'runtime.json'), JSON.stringify({ edge: house.url, tokens: { admin: house.token, buyer: 'a.b.c' } }));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await house[Symbol.asyncDispose]();
});
beforeEach(() => { printed = ''; });

async function millrace(line: string | string[], { stdin = '', signal = new AbortController().signal, env = { MILLRACE_HOME: home } } = {}) {
  const said = { code: -1, stdout: '', stderr: '' };
  said.code = await runCli(typeof line === 'string' ? line.split(' ') : line, {
    env,
    stdin: Readable.from([Buffer.from(stdin)], { objectMode: false }),
    stdout: (text) => { printed = said.stdout += text; },
    stderr: (text) => { said.stderr += text; },
    signal,
  });
  return said;
}

describe('answers', () => {
  test('are facts and tables for people', async () => {
    expect(await millrace('product get mug')).toEqual({ code: 0, stderr: '', stdout: 'sku:       mug\nname:      A mug\nprice:     19.99 EUR\nrevision:  0\n' });
  });

  test('are JSON for programs', async () => {
    const { code, stdout } = await millrace('product get mug --json');
    expect([code, JSON.parse(stdout)]).toEqual([0, { product: { sku: 'mug', name: 'A mug', price: { currencyCode: 'EUR', minorUnits: '1999' } } }]);
  });

  test('of a stream are a line each, until Ctrl-C', async () => {
    const stop = new AbortController();
    const watching = millrace('order watch ord_1 --json', { signal: stop.signal });
    await until(() => printed.includes('ord_1'), 'the first message');
    stop.abort();
    const { code, stdout } = await watching;
    expect([code, stdout.trim().split('\n').map((line) => JSON.parse(line) as unknown)]).toEqual([0, [{ orderId: 'ord_1', version: 1 }]]);
  });
});

describe('refusals', () => {
  test('are told in plain words with reason and metadata, exit code 1', async () => {
    const { code, stdout, stderr } = await millrace(`product get ${SKU.unknown}`);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe("It was not found, or it isn't yours: there is no such product.\n  reason: NOT_FOUND\n  sku: unknown\n  worth another try in 2 s\n");
  });

  test('are JSON for programs too', async () => {
    const { code, stderr } = await millrace(`product get ${SKU.unknown} --json`);
    expect([code, JSON.parse(stderr)]).toMatchObject([1, { error: { code: 'not_found', reason: 'NOT_FOUND', metadata: { sku: 'unknown' } } }]);
  });

  test('name the fields that break a rule', async () => {
    const { code, stderr } = await millrace(['product', 'get', 'a b']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/sku: .*(match|pattern)/);
  });

  test('of a wrong token say so', async () => {
    const { code, stderr } = await millrace('product get mug --as buyer');
    expect([code, stderr]).toEqual([1, expect.stringContaining('The token was not accepted')]);
  });
});

describe('a command that is not meant so', () => {
  test.each([
    ['', 'Usage: millrace NOUN VERB'],
    ['orders list', 'There is no "orders".'],
    ['order', 'millrace order place'],
    ['order fly', 'millrace order place'],
    ['constructor get', 'There is no "constructor".'],
    ['order get', 'ORDER_ID is missing'],
    ['order get a b', '"b" is one argument too many'],
    ['order get a --colour blue', "Unknown option '--colour'"],
    ['order list --state flying', '--state is one of pending_payment'],
    ['order refund ord_1 --amount 5 --line mug', 'give --amount or --line, not both'],
    ['stock adjust mug lots', 'DELTA must be a whole number'],
    ['product create mug', '--name and --price are needed'],
    ['product import nowhere.csv', 'there is no file nowhere.csv'],
    ['dead-letters show dl_1', '--service is missing: order, product'],
    ['dead-letters show dl_1 --service shop', '--service is one of'],
    ['events republish', '--since is missing'],
    ['events republish --since soon', '--since must be a time'],
    ['events republish --since 1d --stream ORDER', '--stream is one of ORDERS, PRODUCTS'],
    ['events republish --since 1d', 'does not say where the databases and the streams are'],
    ['product get mug --as nobody', 'There is no token "nobody"'],
    ['product get mug --edge nowhere --token t', '--edge must be an address'],
  ])('"%s" is exit code 2 with "%s"', async (line, words) => {
    const { code, stdout, stderr } = await millrace(line.split(' ').filter(Boolean));
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(words);
  });

  test('is helped on request, exit code 0', async () => {
    for (const line of ['--help', 'order --help', 'order place --help']) expect(await millrace(line)).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('place') as string });
  });
});

describe('nobody there', () => {
  test('is exit code 3, after a few tries', async () => {
    const { code, stderr } = await millrace('product get mug --edge http://127.0.0.1:9 --token a.b.c');
    expect([code, stderr]).toEqual([3, 'Millrace does not answer at this address. Is it running?\n']);
  });

  test('not even a runtime.json, is said', async () => {
    const { code, stderr } = await millrace('product get mug', { env: { MILLRACE_HOME: '/nowhere' } });
    expect([code, stderr]).toEqual([2, expect.stringContaining('Millrace is not running here')]);
  });

  test('behind the edge is exit code 3 as well', async () => {
    await house.stopOrder();
    const { code, stderr } = await millrace('order get ord_1').finally(() => house.startOrder());
    expect([code, stderr]).toEqual([3, expect.stringContaining('reason: DEPENDENCY_UNAVAILABLE')]);
  });

  test('for a moment is waited for', async () => {
    await house.stopOrder();
    const asked = millrace('order get ord_1 --json');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await house.startOrder();
    expect(await asked).toMatchObject({ code: 0 });
  });
});

describe('product import', () => {
  test('sends every row of standard input and counts them', async () => {
    const rows = Array.from({ length: 300 }, (_, i) => `sku-${i},"A ""good"" mug, ${i}",19.99,EUR`).join('\n');
    expect(await millrace('product import -', { stdin: `sku,name,price,currency\n${rows}\n` })).toEqual({ code: 0, stderr: '', stdout: '300 created, 0 updated, 0 unchanged, 0 refused\n' });
  });

  test('stops at a mistake in the file and names its line', async () => {
    const file = path.join(home, 'wrong.csv');
    writeFileSync(file, 'sku,name,price\nmug,A mug,19.99 EUR\ncup,Cup,cheap\n');
    const { code, stderr } = await millrace(['product', 'import', file]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('line 3: price must be an amount')]);
  });
});

test('dead letters are asked of the service that is named', async () => {
  const { code, stdout } = await millrace('dead-letters list --service product');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^DEAD LETTER +SERVICE/);
  expect(stdout).toContain('dl_1');
});

test('the command is a program that ends by itself', async () => {
  const main = path.join(import.meta.dirname, 'main.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [main, 'product', 'get', 'mug', '--json'], { env: { ...process.env, MILLRACE_HOME: home }, timeout: 20_000 });
  expect(JSON.parse(stdout)).toMatchObject({ product: { sku: 'mug' } });
});
