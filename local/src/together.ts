// All five services in one process: one Node, one crash domain, for small shops and small machines.
import type { Env } from '@millrace/chassis/config';
import { runProcess } from '@millrace/chassis/process';
import type { Running } from '@millrace/chassis/service';
import { startInventory } from '@millrace/inventory';
import { startNotification } from '@millrace/notification';
import { startOrder } from '@millrace/order';
import { startPayment } from '@millrace/payment';
import { startProduct } from '@millrace/product';
import type { Service } from './nats-permissions.ts';

type Start = (env: Env, signal: AbortSignal) => Promise<Running>;

const ROOTS: Record<Service, Start> = { product: startProduct, inventory: startInventory, payment: startPayment, notification: startNotification, order: startOrder };

/** What differs per service carries its name in front; see `togetherEnvironment`. */
const OWN = { PORT: 'PORT', DATABASE_URL: 'DATABASE_URL', NATS_URL: 'NATS_URL', MILLRACE_TOKEN: 'TOKEN' };

async function startTogether(env: Env, signal: AbortSignal): Promise<{ name: string; stop(): Promise<void> }> {
  const starting = Object.entries(ROOTS).map(async ([name, start]) => start(ownEnvironment(name, env), signal));
  const running = await Promise.all(starting);
  return {
    name: 'together',
    stop: async () => {
      await Promise.all(running.map((service) => service.stop()));
    },
  };
}

function ownEnvironment(service: string, env: Env): Env {
  const own = Object.entries(OWN).map(([name, suffix]) => [name, env[`${service.toUpperCase()}_${suffix}`]]);
  return { ...env, ...(Object.fromEntries(own) as Env) };
}

if (import.meta.main) await runProcess(startTogether);
