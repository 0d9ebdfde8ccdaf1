// The edge's environment, read once.
import { processConfig, readConfig, url, type Env } from '@millrace/chassis/config';
import { z } from 'zod';
import { parseOrigins } from './cors.ts';
import type { ServiceName } from './routes.ts';

const shape = {
  ...processConfig,
  ORDER_URL: url,
  PRODUCT_URL: url,
  INVENTORY_URL: url,
  PAYMENT_URL: url,
  NOTIFICATION_URL: url,
  /** Comma separated; ":*" at the end of an origin means any port. */
  EDGE_CORS_ORIGINS: z
    .string()
    .default('http://localhost,http://localhost:*,http://127.0.0.1,http://127.0.0.1:*')
    .refine((text) => parseOrigins(text) !== undefined, 'expected origins, comma separated, such as https://shop.example or http://localhost:*')
    .transform((text) => parseOrigins(text) ?? []),
  /** Calls per second and subject. Generous: it is there for runaways, not for pacing. */
  EDGE_RATE_LIMIT: z.string().regex(/^[1-9]\d{0,6}$/, 'expected calls per second, from 1 to 9999999').default('5000').transform(Number),
};

export type EdgeConfig = ReturnType<typeof readEdgeConfig>;

export function readEdgeConfig(env: Env) {
  return readConfig('edge', shape, env);
}

/** Where each service is. */
export function serviceUrls(config: EdgeConfig): Record<ServiceName, string> {
  return {
    order: config.ORDER_URL,
    product: config.PRODUCT_URL,
    inventory: config.INVENTORY_URL,
    payment: config.PAYMENT_URL,
    notification: config.NOTIFICATION_URL,
  };
}
