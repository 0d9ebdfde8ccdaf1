import { expect, test } from 'vitest';
import { type Plan, edgeEnvironment, providerWarnings, sandboxEnvironment, serviceEnvironment, togetherEnvironment } from './environment.ts';
import { SERVICES } from './nats-permissions.ts';
import { portPlan } from './ports.ts';

const SECRETS = /SECRET|TOKEN|KEY|_SID|DATABASE_URL|NATS_URL/;

function planWith(outer: NodeJS.ProcessEnv, together = false): Plan {
  const own = { order: 't-order', product: 't-product', inventory: 't-inventory', payment: 't-payment', notification: 't-notification' };
  return {
    ports: portPlan(8080, together),
    outer,
    tokens: { jwks: '{"keys":[]}', people: { admin: 'a', buyer: 'b', buyer2: 'b2', service: 's' }, services: own },
    secret: (name) => `secret-${name}`,
    databaseUrl: (service) => `postgresql://${service}@db/${service}`,
    natsUrl: (service) => `nats://${service}@nats`,
    sandboxData: '/data',
  };
}

test('without keys of the user every provider is the sandbox, and sandbox and services agree on the secrets', () => {
  const plan = planWith({});
  const [sandbox, payment, notification] = [sandboxEnvironment(plan), serviceEnvironment('payment', plan), serviceEnvironment('notification', plan)];
  expect(payment.STRIPE_API_BASE).toBe('http://127.0.0.1:8090');
  expect(notification.POSTMARK_API_BASE).toBe('http://127.0.0.1:8090');
  expect(notification.TWILIO_API_BASE).toBe('http://127.0.0.1:8090');
  for (const name of ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET']) expect(payment[name]).toBe(sandbox[name]);
  for (const name of ['POSTMARK_SERVER_TOKEN', 'POSTMARK_WEBHOOK_SECRET', 'TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN', 'TWILIO_WEBHOOK_URL']) expect(notification[name]).toBe(sandbox[name]);
  expect(sandbox.STRIPE_WEBHOOK_URL).toBe('http://127.0.0.1:8080/webhooks/stripe');
});

test("the user's own keys go to the real providers, and never into the sandbox", () => {
  const plan = planWith({ STRIPE_SECRET_KEY: 'sk_live_1', STRIPE_WEBHOOK_SECRET: 'whsec_1', POSTMARK_SERVER_TOKEN: 'pm_1', TWILIO_ACCOUNT_SID: 'AC1', TWILIO_AUTH_TOKEN: 'tw_1' });
  const [payment, notification] = [serviceEnvironment('payment', plan), serviceEnvironment('notification', plan)];
  expect(payment).toMatchObject({ STRIPE_SECRET_KEY: 'sk_live_1', STRIPE_WEBHOOK_SECRET: 'whsec_1' });
  expect(notification).toMatchObject({ POSTMARK_SERVER_TOKEN: 'pm_1', TWILIO_ACCOUNT_SID: 'AC1', TWILIO_AUTH_TOKEN: 'tw_1' });
  for (const name of ['STRIPE_API_BASE', 'POSTMARK_API_BASE', 'TWILIO_API_BASE']) expect({ ...payment, ...notification }).not.toHaveProperty(name);
  expect(JSON.stringify(sandboxEnvironment(plan))).not.toMatch(/sk_live_1|whsec_1|pm_1|AC1|tw_1/);
});

test('no process is handed a secret that is for another one', () => {
  const plan = planWith({ STRIPE_SECRET_KEY: 'sk_live_1', POSTMARK_SERVER_TOKEN: 'pm_1', DATABASE_URL: 'postgresql://of-the-user' });
  const secretsOf = (env: Record<string, string>): string[] => Object.keys(env).filter((name) => SECRETS.test(name)).toSorted();
  const own = ['DATABASE_URL', 'MILLRACE_TOKEN', 'NATS_URL'];
  for (const service of ['order', 'product', 'inventory'] as const) expect(secretsOf(serviceEnvironment(service, plan))).toEqual(own);
  expect(secretsOf(serviceEnvironment('payment', plan))).toEqual([...own, 'STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET'].toSorted());
  expect(secretsOf(edgeEnvironment(plan))).toEqual([]);
  for (const service of SERVICES) expect(serviceEnvironment(service, plan).DATABASE_URL).toBe(`postgresql://${service}@db/${service}`);
});

test('settings of the user reach the services', () => {
  expect(serviceEnvironment('order', planWith({ ORDER_PAYMENT_WINDOW: '5s', LOG_LEVEL: 'debug' }))).toMatchObject({ ORDER_PAYMENT_WINDOW: '5s', LOG_LEVEL: 'debug' });
});

test('together, each service still has its own database, broker user and token, and all have one port', () => {
  const env = togetherEnvironment(planWith({}, true));
  expect(env).toMatchObject({ PORT: '8081' });
  for (const service of SERVICES) {
    const prefix = service.toUpperCase();
    expect(env).toMatchObject({ [`${prefix}_DATABASE_URL`]: `postgresql://${service}@db/${service}`, [`${prefix}_NATS_URL`]: `nats://${service}@nats`, [`${prefix}_TOKEN`]: `t-${service}`, [`${prefix}_URL`]: 'http://127.0.0.1:8081' });
  }
});

test('half a set of provider keys is pointed out', () => {
  expect(providerWarnings({ STRIPE_SECRET_KEY: 'sk' })).toEqual([expect.stringMatching(/STRIPE_WEBHOOK_SECRET is not/)]);
  expect(providerWarnings({ STRIPE_SECRET_KEY: 'sk', STRIPE_WEBHOOK_SECRET: 'wh' })).toEqual([]);
});
