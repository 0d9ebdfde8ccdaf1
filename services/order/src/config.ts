// The environment of this service.
import { duration, readConfig, serviceConfig, url, type Env } from '@millrace/chassis/config';

const MINUTE = 60_000;

const shape = {
  ...serviceConfig,
  PRODUCT_URL: url,
  INVENTORY_URL: url,
  /** How long an order may stay unpaid. */
  ORDER_PAYMENT_WINDOW: duration.default(30 * MINUTE),
  /** How much longer its stock is held, so that a payment of the last second still finds it. */
  ORDER_HOLD_GRACE: duration.default(5 * MINUTE),
};

export const readOrderConfig = (env: Env) => readConfig('order', shape, env);
