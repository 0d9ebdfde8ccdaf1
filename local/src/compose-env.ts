// Prints the .env file that docker-compose.yml wants: passwords, the key that verifies tokens, and the tokens.
import { randomBytes } from 'node:crypto';
import { SERVICES } from './nats-permissions.ts';
import { USERS } from './nats.ts';
import { newSigningKey, tokensFor } from './tokens.ts';

export async function composeEnvironment(): Promise<Record<string, string>> {
  const { jwks, people, services } = await tokensFor(await newSigningKey());
  const upper = (name: string): string => name.toUpperCase();
  const each = <T extends string>(names: readonly T[], prefix: string, value: (name: T) => string): [string, string][] => names.map((name) => [`${prefix}_${upper(name)}`, value(name)]);
  return {
    MILLRACE_JWKS: jwks,
    ...Object.fromEntries(each(SERVICES, 'MILLRACE_TOKEN', (name) => services[name])),
    POSTGRES_PASSWORD: password(),
    ...Object.fromEntries(each(SERVICES, 'POSTGRES_PASSWORD', password)),
    ...Object.fromEntries(each(USERS, 'NATS_PASSWORD', password)),
    STRIPE_SECRET_KEY: `sk_test_${password()}`,
    STRIPE_WEBHOOK_SECRET: `whsec_${password()}`,
    POSTMARK_SERVER_TOKEN: password(),
    POSTMARK_WEBHOOK_SECRET: password(),
    TWILIO_ACCOUNT_SID: `AC${randomBytes(16).toString('hex')}`,
    TWILIO_AUTH_TOKEN: password(),
    // For people and programs that call the edge; the containers do not read these.
    DEMO_TOKEN_ADMIN: people.admin,
    DEMO_TOKEN_BUYER: people.buyer,
    DEMO_TOKEN_SERVICE: people.service,
  };
}

// A letter in front: nats-server would take a variable of digits for a number.
function password(): string {
  return `p${randomBytes(18).toString('hex')}`;
}

if (import.meta.main) {
  for (const [name, value] of Object.entries(await composeEnvironment())) process.stdout.write(`${name}='${value}'\n`);
}
