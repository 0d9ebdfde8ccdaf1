// The composition root of inventory: what is on hand, what is held for orders, and every movement of it.
import type { ServiceImpl } from '@connectrpc/connect';
import type { Env } from '@millrace/chassis/config';
import { openDatabase } from '@millrace/chassis/database/db';
import { createChanges } from '@millrace/chassis/flow/changes';
import { createReader } from '@millrace/chassis/flow/reader';
import { STAY_WARM, runProcess } from '@millrace/chassis/process';
import { runService, type Running, type ServiceDefinition } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { PrismaClient } from '@millrace/gen/prisma/inventory/client.ts';
import { createChange } from './change.ts';
import { readInventoryConfig } from './config.ts';
import { inventoryReactions } from './events.ts';
import { expireHolds } from './expire-holds.ts';
import { createLevels } from './levels.ts';
import { practise } from './practise.ts';
import { createReserveStock } from './reserve-stock.ts';
import { inventoryCalls } from './rpc.ts';
import { loadLevels } from './store.ts';
import { createWatchStock } from './watch-stock.ts';

export async function startInventory(env: Env, signal: AbortSignal): Promise<Running> {
  return runService(defineInventory(env), signal);
}

export function defineInventory(env: Env): ServiceDefinition & { calls: ServiceImpl<typeof InventoryService> } {
  const config = readInventoryConfig(env);
  const log = createLog('inventory', config.LOG_LEVEL);
  const db = openDatabase(config.DATABASE_URL, log);
  const prisma = new PrismaClient({ adapter: db.prismaAdapter() });
  const changes = createChanges();
  const levels = createLevels();
  const change = createChange(changes, levels);
  const reserveStock = createReserveStock({ db, change, levels, changes });
  const readLevel = createReader('get stock', (skus) => loadLevels(db, skus));
  const watchStock = createWatchStock(readLevel, changes);
  const calls = inventoryCalls({ db, log, prisma, change, readLevel, reserveStock, watchStock });
  return {
    name: 'inventory', config, log, db,
    services: [InventoryService],
    routes: (router) => router.service(InventoryService, calls),
    calls,
    reactions: inventoryReactions(change),
    loops: [expireHolds(db, log, change)],
    warmUp: () => practise(db),
    close: () => prisma.$disconnect(),
  };
}

if (import.meta.main) await runProcess(startInventory, STAY_WARM);
