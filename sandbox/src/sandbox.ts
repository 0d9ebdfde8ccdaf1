// What all parts of the sandbox share.
import type { Config } from './config.ts';
import type { Faults } from './faults.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Store } from './store/store.ts';
import type { RenderContext } from './stripe/render.ts';
import type { Deliveries } from './webhooks/deliver.ts';

export interface Sandbox {
  config: Config;
  log: Log;
  store: Store;
  faults: Faults;
  metrics: Metrics;
  deliveries: Deliveries;
  render: RenderContext;
  /** Milliseconds; never runs backwards, so that records stay in the order of their creation. */
  now(): number;
  signal: AbortSignal;
}
