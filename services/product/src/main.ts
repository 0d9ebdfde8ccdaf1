// The composition root of product: the catalogue, what is sold and for how much.
import type { ServiceImpl } from '@connectrpc/connect';
import type { Env } from '@millrace/chassis/config';
import { openDatabase } from '@millrace/chassis/database/db';
import { runProcess } from '@millrace/chassis/process';
import { runService, type Running, type ServiceDefinition } from '@millrace/chassis/service';
import { createLog } from '@millrace/chassis/telemetry/log';
import { warmUp } from '@millrace/chassis/warm-up';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { PrismaClient } from '@millrace/gen/prisma/product/client.ts';
import { readProductConfig } from './config.ts';
import { productCalls } from './rpc.ts';
import { loadProducts } from './store.ts';

/** Look-ups before the service says that it is ready: the first ones cost many times what the later ones do. */
const WARM_UP_ROUNDS = 200;

export async function startProduct(env: Env, signal: AbortSignal): Promise<Running> {
  return runService(defineProduct(env), signal);
}

export function defineProduct(env: Env): ServiceDefinition & { calls: ServiceImpl<typeof ProductService> } {
  const config = readProductConfig(env);
  const log = createLog('product', config.LOG_LEVEL);
  const db = openDatabase(config.DATABASE_URL, log);
  const prisma = new PrismaClient({ adapter: db.prismaAdapter() });
  const calls = productCalls(db, prisma);
  return {
    name: 'product', config, log, db,
    services: [ProductService],
    routes: (router) => router.service(ProductService, calls),
    calls,
    reactions: [],
    warmUp: async () => warmUp(WARM_UP_ROUNDS, async () => loadProducts(db, [''])),
    close: () => prisma.$disconnect(),
  };
}

if (import.meta.main) await runProcess(startProduct);
