// Reservations at inventory itself, as order asks for them: many in a call, two calls on their way.
import { randomUUID } from 'node:crypto';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { type Load, closedLoop, transports } from './load.ts';

export type ReserveTask = { url: string; token: string; sku: string; clients: number; ms: number };

/** As order does it. */
const CALLS = 2;
const HOLD_MS = 12 * 3_600_000;

/** 64 buyers at once make calls of 32 reservations; `done` counts reservations. */
export async function runReserve({ url, token, sku, clients, ms }: ReserveTask): Promise<Load> {
  const [transport] = transports(url, token);
  if (transport === undefined) throw new Error('no transport');
  const inventory = createClient(InventoryService, transport);
  const each = Math.ceil(clients / CALLS);
  const holdUntil = timestampFromMs(Date.now() + HOLD_MS);
  const load = await closedLoop({ clients: CALLS, ms }, async () => {
    const { results } = await inventory.reserveStockMany({ requests: Array.from({ length: each }, () => ({ orderId: `bench-${randomUUID()}`, lines: [{ sku, quantity: 1 }], holdUntil })) });
    const refusal = results.find(({ result }) => result.case !== 'reservation');
    if (refusal) throw new Error(`a reservation was refused: ${JSON.stringify(refusal.result.value)}`);
  });
  return { ...load, done: load.done * each };
}
