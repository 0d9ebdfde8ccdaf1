// The environment of inventory: nothing of its own.
import { readConfig, serviceConfig, type Env, type ServiceConfig } from '@millrace/chassis/config';

export const readInventoryConfig = (env: Env): ServiceConfig => readConfig('inventory', serviceConfig, env);
