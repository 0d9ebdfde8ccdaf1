// Faults that an operator or a test has asked for, and what they do to a request.
export const EFFECTS = ['error', 'delay', 'lost_reply', 'decline'] as const;
export type Effect = (typeof EFFECTS)[number];

export const OPERATIONS = {
  stripe: [
    'payment_intents.create', 'payment_intents.retrieve', 'payment_intents.update', 'payment_intents.confirm', 'payment_intents.cancel',
    'payment_intents.capture', 'payment_intents.list', 'payment_intents.search', 'refunds.create', 'refunds.retrieve', 'refunds.update',
    'refunds.list', 'charges.retrieve', 'charges.list', 'disputes.retrieve', 'disputes.update', 'disputes.close', 'disputes.list',
    'events.retrieve', 'events.list',
  ],
  postmark: ['email.send', 'email.batch', 'messages.list', 'messages.retrieve'],
  twilio: ['messages.create', 'messages.retrieve', 'messages.list'],
} as const;
export type Provider = keyof typeof OPERATIONS;
export const PROVIDERS = Object.keys(OPERATIONS) as Provider[];

/** Operations that money, a mailbox or a phone can refuse. */
export const DECLINABLE = new Set(['payment_intents.create', 'payment_intents.confirm', 'refunds.create', 'email.send', 'email.batch', 'messages.create']);

const MAX_FAULTS = 100; // more than that is a mistake of the caller
const MAX_DELAY_MS = 600_000;

export interface Fault {
  id: number;
  provider: Provider;
  operation: string;
  effect: Effect;
  status: number;
  delay_ms: number;
  times: number | null; // null = until reset
  probability: number;
  hits: number;
}

export interface Hit {
  delayMs: number;
  effect?: Exclude<Effect, 'delay'>;
  status: number;
}

export interface Faults {
  add(body: unknown): Fault;
  /** What shall go wrong with this request. Delays add up; of the other effects the first one counts. */
  take(provider: Provider, operations: readonly string[], canDecline: boolean): Hit;
  list(): Fault[];
  clear(): void;
}

export class ControlError extends Error {
  override name = 'ControlError';
}

const NOTHING: Hit = { delayMs: 0, status: 0 };

export function createFaults(random: () => number = Math.random): Faults {
  let faults: Fault[] = [];
  let lastId = 0;

  return {
    add(body) {
      if (faults.length >= MAX_FAULTS) throw new ControlError(`there are ${MAX_FAULTS} faults already: POST /control/reset first`);
      const fault = { ...parseFault(body), id: ++lastId, hits: 0 };
      faults.push(fault);
      return fault;
    },
    take(provider, operations, canDecline) {
      if (faults.length === 0) return NOTHING;
      const hit: Hit = { delayMs: 0, status: 0 };
      for (const fault of faults) {
        if (fault.provider !== provider || (fault.operation !== '*' && !operations.includes(fault.operation))) continue;
        if (fault.times !== null && fault.hits >= fault.times) continue;
        if (fault.effect === 'decline' && !canDecline) continue;
        if (fault.effect !== 'delay' && hit.effect) continue;
        if (fault.probability < 1 && random() >= fault.probability) continue;
        fault.hits++;
        if (fault.effect === 'delay') hit.delayMs += fault.delay_ms;
        else {
          hit.effect = fault.effect;
          hit.status = fault.status;
          hit.delayMs += fault.delay_ms;
        }
      }
      return hit;
    },
    list: () => faults,
    clear: () => void (faults = []),
  };
}

function parseFault(body: unknown): Omit<Fault, 'id' | 'hits'> {
  const fields = asObject(body, ['provider', 'operation', 'effect', 'status', 'delay_ms', 'times', 'probability']);
  const provider = oneOf(fields, 'provider', PROVIDERS);
  const operation = oneOf(fields, 'operation', ['*', ...OPERATIONS[provider]], '*');
  const effect = oneOf(fields, 'effect', EFFECTS);
  if (effect === 'decline' && operation !== '*' && !DECLINABLE.has(operation)) {
    const declinable = OPERATIONS[provider].filter((name) => DECLINABLE.has(name));
    throw new ControlError(`operation ${operation} cannot be declined; ${provider} can decline: ${declinable.join(', ')}`);
  }
  if (effect === 'delay' && fields['delay_ms'] === undefined) throw new ControlError('effect delay needs delay_ms (milliseconds)');
  return {
    provider,
    operation,
    effect,
    status: number(fields, 'status', { least: 400, most: 599, integer: true }) ?? 500,
    delay_ms: number(fields, 'delay_ms', { least: 0, most: MAX_DELAY_MS, integer: true }) ?? 0,
    times: number(fields, 'times', { least: 1, most: 1_000_000, integer: true }) ?? null,
    probability: number(fields, 'probability', { least: 0, most: 1, integer: false }) ?? 1,
  };
}

export function asObject(body: unknown, allowed: readonly string[]): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new ControlError(`send a JSON object with: ${allowed.join(', ')}`);
  const unknown = Object.keys(body).filter((name) => !allowed.includes(name));
  if (unknown.length > 0) throw new ControlError(`unknown field ${unknown.join(', ')}; allowed: ${allowed.join(', ')}`);
  return body as Record<string, unknown>;
}

export function oneOf<T extends string>(fields: Record<string, unknown>, name: string, allowed: readonly T[], fallback?: T): T {
  const value = fields[name] ?? fallback;
  if (!allowed.includes(value as T)) {
    throw new ControlError(`${name} must be one of ${allowed.join(', ')}${value === undefined ? '' : `, not ${JSON.stringify(value)}`}`);
  }
  return value as T;
}

export function number(fields: Record<string, unknown>, name: string, range: { least: number; most: number; integer: boolean }): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  const fits = typeof value === 'number' && value >= range.least && value <= range.most && (!range.integer || Number.isInteger(value));
  if (!fits) {
    throw new ControlError(`${name} must be ${range.integer ? 'a whole' : 'a'} number from ${range.least} to ${range.most}, not ${JSON.stringify(value)}`);
  }
  return value;
}
