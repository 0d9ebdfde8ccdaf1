// Reads the environment once and reports everything missing or wrong in one message.
export interface Config {
  host: string;
  port: number;
  dataFolder: string;
  /** `webhookEvents`: the types that the endpoint has subscribed to; '*' stands for all. */
  stripe: { secretKey: string; webhookSecret: string; webhookUrl: string | undefined; webhookEvents: ReadonlySet<string> };
  postmark: { serverToken: string; webhookSecret: string; webhookUrl: string | undefined };
  twilio: { accountSid: string; authToken: string; webhookUrl: string | undefined };
}

export type Environment = Record<string, string | undefined>;

export function readConfig(env: Environment): Config {
  const problems: string[] = [];
  const required = (name: string, meaning: string): string => {
    const value = env[name];
    if (!value) problems.push(`${name} is not set: ${meaning}`);
    return value ?? '';
  };
  const url = (name: string): string | undefined => {
    const value = env[name];
    if (!value) return undefined;
    if (!/^https?:\/\//.test(value) || !URL.canParse(value)) problems.push(`${name} must be an http(s) URL, not "${value}"`);
    return value;
  };
  const port = (name: string): number => {
    const value = env[name] ?? '';
    if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535) problems.push(`${name} must be a port number (0 = any free port), not "${value}"`);
    return Number(value);
  };

  const config: Config = {
    host: env['HOST'] || '127.0.0.1',
    port: port('PORT'),
    dataFolder: required('SANDBOX_DATA', 'a folder for the sandbox to keep its records in'),
    stripe: {
      secretKey: required('STRIPE_SECRET_KEY', 'the API key that callers must send'),
      webhookSecret: required('STRIPE_WEBHOOK_SECRET', 'the secret that webhooks are signed with'),
      webhookUrl: url('STRIPE_WEBHOOK_URL'),
      webhookEvents: new Set((env['STRIPE_WEBHOOK_EVENTS'] || '*').split(',').map((type) => type.trim())),
    },
    postmark: {
      serverToken: required('POSTMARK_SERVER_TOKEN', 'the server token that callers must send'),
      webhookUrl: url('POSTMARK_WEBHOOK_URL'),
      webhookSecret: env['POSTMARK_WEBHOOK_SECRET'] ?? '',
    },
    twilio: {
      accountSid: required('TWILIO_ACCOUNT_SID', 'the account that callers must use'),
      authToken: required('TWILIO_AUTH_TOKEN', 'the password of that account; it also signs status callbacks'),
      webhookUrl: url('TWILIO_WEBHOOK_URL'),
    },
  };
  if (config.postmark.webhookUrl && !config.postmark.webhookSecret) {
    problems.push('POSTMARK_WEBHOOK_SECRET is not set: the basic-auth password sent to POSTMARK_WEBHOOK_URL');
  }
  if (problems.length > 0) throw new ConfigError(`the sandbox cannot start:\n  ${problems.join('\n  ')}`);
  return config;
}

export class ConfigError extends Error {
  override name = 'ConfigError';
}
