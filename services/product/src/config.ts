// The environment of product: nothing of its own.
import { readConfig, serviceConfig, type Env, type ServiceConfig } from '@millrace/chassis/config';

export const readProductConfig = (env: Env): ServiceConfig => readConfig('product', serviceConfig, env);
