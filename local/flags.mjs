// The flags of `npm start`. Plain JavaScript: the bootstrap reads them under any Node, before anything is installed.
import { parseArgs } from 'node:util';

export const USAGE = `npm start [-- flags]      brings Millrace up on this machine
  --detach                in the background; comes back when it is ready
  --together              all five services in one process
  --seed N                fill the catalogue with N demo products (12 at the first start; 0 for none)
  --help                  this text

npm stop                  stops it
npm test [-- flags]       all tests; flags go to vitest (e.g. -- --project unit)
npm run generate          code from the protos and the database schemas

MILLRACE_HOME             data, logs and runtime.json (default: .millrace in the checkout)
MILLRACE_PORT_BASE        the edge's port (default 8080); the others follow it
NATS_URL                  a NATS server to use instead of our own (a user who may make streams)
STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET, POSTMARK_SERVER_TOKEN, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM
                          real providers; whichever is not set is played by the sandbox`;

const MAX_SEED = 10_000;

export function readFlags(args) {
  let values;
  try {
    values = parseArgs({
      args,
      options: { detach: { type: 'boolean' }, together: { type: 'boolean' }, seed: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    }).values;
  } catch (error) {
    throw new Error(`${error.message.split('. ')[0]} (npm start -- --help lists the flags)`, { cause: error });
  }
  const { detach = false, together = false, help = false, seed } = values;
  if (seed !== undefined && (!/^\d+$/.test(seed) || Number(seed) > MAX_SEED)) throw new Error(`--seed wants a whole number from 0 to ${MAX_SEED}, not "${seed}"`);
  return { detach, together, help, seed: seed === undefined ? undefined : Number(seed) };
}
