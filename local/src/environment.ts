// The environment of every process: who gets which address and which secret. Nobody gets another's.
import { SERVICES, type Service } from './nats-permissions.ts';
import type { Ports } from './ports.ts';
import type { Tokens } from './tokens.ts';

export type Environment = Record<string, string>;

export type Plan = {
  ports: Ports;
  /** What the user started us with. */
  outer: NodeJS.ProcessEnv;
  tokens: Tokens;
  secret: (name: string) => string;
  databaseUrl: (service: Service) => string;
  natsUrl: (service: Service) => string;
  sandboxData: string;
};

const HOST = '127.0.0.1';
const DEFAULT_MAIL_FROM = 'shop@millrace.example';
const DEFAULT_ADMIN_EMAILS = 'admin@millrace.example';
const DEFAULT_TWILIO_FROM = '+15005550006'; // Twilio's own test number

/** What the payment service hears of Stripe, and no more: every other type would be a call for nothing. */
const STRIPE_EVENTS = [
  ...['succeeded', 'canceled', 'payment_failed', 'requires_action', 'processing'].map((type) => `payment_intent.${type}`),
  ...['created', 'updated', 'failed'].map((type) => `refund.${type}`),
  ...['created', 'updated', 'closed'].map((type) => `charge.dispute.${type}`),
];
const STRIPE = ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET', 'STRIPE_API_BASE'];
const POSTMARK = ['POSTMARK_SERVER_TOKEN', 'POSTMARK_API_BASE', 'POSTMARK_WEBHOOK_SECRET', 'MAIL_FROM', 'ADMIN_EMAILS'];
const TWILIO = ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN', 'TWILIO_FROM', 'TWILIO_API_BASE', 'TWILIO_WEBHOOK_URL'];
/** A crash point is for one start of one service: crash-plan.ts hands it out. */
const OURS = ['MILLRACE_CRASH_POINT', 'PORT', 'HOST', 'DATABASE_URL', 'NATS_URL', 'MILLRACE_JWKS', 'MILLRACE_TOKEN', ...STRIPE, ...POSTMARK, ...TWILIO, ...SERVICES.map(urlName)];

export function urlName(service: string): string {
  return `${service.toUpperCase()}_URL`;
}

export function serviceUrl(service: Service, { ports }: Pick<Plan, 'ports'>): string {
  return `http://${HOST}:${ports[service]}`;
}

export function serviceEnvironment(service: Service, plan: Plan): Environment {
  return {
    ...common(plan),
    ...neighbours(plan),
    PORT: String(plan.ports[service]),
    DATABASE_URL: plan.databaseUrl(service),
    NATS_URL: plan.natsUrl(service),
    MILLRACE_TOKEN: plan.tokens.services[service],
    ...(service === 'payment' ? stripe(plan) : {}),
    ...(service === 'notification' ? { ...postmark(plan), ...twilio(plan) } : {}),
  };
}

/** One process for all five: what differs per service carries its name in front (`ORDER_DATABASE_URL`). */
export function togetherEnvironment(plan: Plan): Environment {
  const each = SERVICES.flatMap((service) => {
    const prefix = service.toUpperCase();
    return [
      [`${prefix}_DATABASE_URL`, plan.databaseUrl(service)],
      [`${prefix}_NATS_URL`, plan.natsUrl(service)],
      [`${prefix}_TOKEN`, plan.tokens.services[service]],
    ];
  });
  return { ...common(plan), ...neighbours(plan), PORT: String(plan.ports.order), ...(Object.fromEntries(each) as Environment), ...stripe(plan), ...postmark(plan), ...twilio(plan) };
}

export function edgeEnvironment(plan: Plan): Environment {
  return { ...common(plan), ...neighbours(plan), PORT: String(plan.ports.edge) };
}

/** The sandbox plays every provider; real keys stay out of it. */
export function sandboxEnvironment(plan: Plan): Environment {
  const edge = `http://${HOST}:${plan.ports.edge}`;
  return {
    ...common(plan),
    PORT: String(plan.ports.sandbox),
    SANDBOX_DATA: plan.sandboxData,
    STRIPE_SECRET_KEY: sandboxStripeKey(plan),
    STRIPE_WEBHOOK_SECRET: sandboxWebhookSecret(plan),
    STRIPE_WEBHOOK_URL: `${edge}/webhooks/stripe`,
    STRIPE_WEBHOOK_EVENTS: STRIPE_EVENTS.join(','),
    POSTMARK_SERVER_TOKEN: plan.secret('postmark'),
    POSTMARK_WEBHOOK_URL: `${edge}/webhooks/postmark`,
    POSTMARK_WEBHOOK_SECRET: plan.secret('postmark-webhook'),
    TWILIO_ACCOUNT_SID: sandboxTwilioAccount(plan),
    TWILIO_AUTH_TOKEN: plan.secret('twilio'),
    TWILIO_WEBHOOK_URL: `${edge}/webhooks/twilio`,
  };
}

/** What looks unfinished in the user's own provider settings. */
export function providerWarnings(outer: NodeJS.ProcessEnv): string[] {
  const needs = [
    ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET', 'Stripe webhooks will be refused'],
    ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN', 'text messages go to the sandbox'],
    ['TWILIO_AUTH_TOKEN', 'TWILIO_ACCOUNT_SID', 'text messages go to the sandbox'],
  ] as const;
  return needs.filter(([has, lacks]) => outer[has] && !outer[lacks]).map(([has, lacks, effect]) => `${has} is set but ${lacks} is not: ${effect}.`);
}

function common({ outer, tokens }: Plan): Environment {
  const inherited = Object.entries(outer).filter((entry): entry is [string, string] => entry[1] !== undefined && !OURS.includes(entry[0]));
  return { ...Object.fromEntries(inherited), HOST, MILLRACE_JWKS: tokens.jwks };
}

function neighbours(plan: Plan): Environment {
  return Object.fromEntries(SERVICES.map((name) => [urlName(name), serviceUrl(name, plan)]));
}

function stripe(plan: Plan): Environment {
  const { outer } = plan;
  // The sandbox's search shows everything at once.
  if (!outer.STRIPE_SECRET_KEY) return { STRIPE_SECRET_KEY: sandboxStripeKey(plan), STRIPE_WEBHOOK_SECRET: sandboxWebhookSecret(plan), STRIPE_API_BASE: sandbox(plan), STRIPE_SEARCH_LAG: '0ms' };
  return { ...pick(outer, STRIPE), STRIPE_WEBHOOK_SECRET: outer.STRIPE_WEBHOOK_SECRET || sandboxWebhookSecret(plan) };
}

function postmark(plan: Plan): Environment {
  const { outer } = plan;
  const people = { MAIL_FROM: outer.MAIL_FROM || DEFAULT_MAIL_FROM, ADMIN_EMAILS: outer.ADMIN_EMAILS || DEFAULT_ADMIN_EMAILS };
  const webhook = { POSTMARK_WEBHOOK_SECRET: outer.POSTMARK_WEBHOOK_SECRET || plan.secret('postmark-webhook') };
  if (outer.POSTMARK_SERVER_TOKEN) return { ...pick(outer, POSTMARK), ...people, ...webhook };
  return { ...people, POSTMARK_WEBHOOK_SECRET: plan.secret('postmark-webhook'), POSTMARK_SERVER_TOKEN: plan.secret('postmark'), POSTMARK_API_BASE: sandbox(plan) };
}

function twilio(plan: Plan): Environment {
  const { outer, ports } = plan;
  const from = { TWILIO_FROM: outer.TWILIO_FROM || DEFAULT_TWILIO_FROM };
  if (outer.TWILIO_ACCOUNT_SID && outer.TWILIO_AUTH_TOKEN) return { ...pick(outer, TWILIO), ...from };
  return { ...from, TWILIO_ACCOUNT_SID: sandboxTwilioAccount(plan), TWILIO_AUTH_TOKEN: plan.secret('twilio'), TWILIO_API_BASE: sandbox(plan), TWILIO_WEBHOOK_URL: `http://${HOST}:${ports.edge}/webhooks/twilio` };
}

function sandbox({ ports }: Plan): string {
  return `http://${HOST}:${ports.sandbox}`;
}

// Shaped like the providers' own, because the official SDKs look at prefixes.
function sandboxStripeKey({ secret }: Plan): string {
  return `sk_test_${secret('stripe').replaceAll(/[-_]/g, '0')}`;
}

function sandboxWebhookSecret({ secret }: Plan): string {
  return `whsec_${secret('stripe-webhook').replaceAll(/[-_]/g, '0')}`;
}

function sandboxTwilioAccount({ secret }: Plan): string {
  return `AC${Buffer.from(secret('twilio-account')).toString('hex').slice(0, 32)}`;
}

function pick(from: NodeJS.ProcessEnv, names: string[]): Environment {
  return Object.fromEntries(names.flatMap((name) => (from[name] ? [[name, from[name]]] : [])));
}
