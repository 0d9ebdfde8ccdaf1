import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { layCable, mayLayCable, type Cable } from './cable.ts';

describe.skipIf(!mayLayCable())('a cable', () => {
  let served = 0;
  const server = createServer((_request, response) => {
    served += 1;
    response.end('done');
  });
  let folder: string;
  let cable: Cable;

  beforeEach(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    folder = mkdtempSync(path.join(tmpdir(), 'millrace-cable-'));
    cable = await layCable((server.address() as AddressInfo).port, folder);
    served = 0;
  });
  afterEach(async () => {
    agent.destroy();
    await cable.close();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });

  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const post = async (limitMs = 20_000): Promise<string> => {
    const asked = request(`http://${cable.address}/`, { method: 'POST', agent, signal: AbortSignal.timeout(limitMs) }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return text(answer);
  };

  test('carries what it is given', async () => {
    expect(await post()).toBe('done');
    expect(cable.lost()).toBe(0);
  });

  test('that is cut loses every packet, and what was under way arrives when it is whole', async () => {
    cable.set('cut');
    const late = post();
    await expect.poll(() => cable.lost(), { timeout: 5_000 }).toBeGreaterThan(2);
    expect(served).toBe(0);
    cable.set('whole');
    expect(await late).toBe('done');
  });

  test('whose answers are lost lets a request through that nobody hears of', async () => {
    expect(await post()).toBe('done');
    cable.set('deaf');
    const late = post();
    await expect.poll(() => served, { timeout: 5_000 }).toBe(2);
    expect(cable.lost()).toBeGreaterThan(0);
    cable.set('whole');
    expect(await late).toBe('done');
    expect(served).toBe(2);
  });
});
