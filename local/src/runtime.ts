// runtime.json: where everything is and how to get in, for programs. There while the system is ready, gone after a clean stop.
import { rmSync } from 'node:fs';
import { type Home, writeAtomically } from './home.ts';
import { INSPECTOR, SERVICES, type Service } from './nats-permissions.ts';
import type { Tokens } from './tokens.ts';

export type Runtime = {
  edge: string;
  services: Record<Service, string>;
  sandbox: string;
  nats: string;
  postgres: Record<Service, string>;
  tokens: Tokens['people'];
  pids: Record<string, number>;
};

export function writeRuntime(home: Home, runtime: Runtime): void {
  writeAtomically(home.file('runtime.json'), `${JSON.stringify(runtime, null, 2)}\n`);
}

export function removeRuntime(home: Home): void {
  rmSync(home.file('runtime.json'), { force: true });
}

/** What a person sees when everything is ready. */
export function welcome(home: Home, { edge, services, sandbox, nats, tokens }: Runtime, demoSku: string | undefined): string {
  const bearer = `authorization: Bearer ${tokens.buyer}`;
  const order = JSON.stringify({
    requestId: 'my-first-order',
    customer: { customerId: 'demo-buyer', name: 'Demo Buyer', email: 'buyer@example.com' },
    lines: [{ sku: demoSku ?? 'YOUR-SKU', quantity: 1 }],
    paymentMethod: 'pm_card_visa',
  });
  const row = (name: string, value: string): string => `  ${name.padEnd(13)}${value}`;
  return [
    '',
    'Millrace is ready.',
    '',
    row('edge', edge),
    ...SERVICES.map((name) => row(name, services[name])),
    row('sandbox', `${sandbox}  (its inbox: what was mailed and texted)`),
    row('NATS', nats.includes(`//${INSPECTOR}:`) ? `${nats}  (read-only)` : nats),
    row('runtime', home.file('runtime.json')),
    row('logs', home.file('logs')),
    '',
    row('buyer', tokens.buyer),
    row('admin', tokens.admin),
    '',
    'What is on sale:',
    `  curl -s -H 'content-type: application/json' -H '${bearer}' -d '{"pageSize": 3}' ${edge}/millrace.product.v1.ProductService/ListProducts`,
    'A first order:',
    `  npx buf curl --protocol grpc --http2-prior-knowledge -H '${bearer}' -d '${order}' ${edge}/millrace.order.v1.OrderService/PlaceOrder`,
    '',
    'Ctrl-C or npm stop ends it; the next npm start goes on where it stopped.',
    '',
  ].join('\n');
}
