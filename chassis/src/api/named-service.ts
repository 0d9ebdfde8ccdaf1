// Which service is meant, where several stand behind one address.
import { refuse } from './errors.ts';

/** Names the service for RPCs that all of them serve. */
export const SERVICE_HEADER = 'millrace-service';

/** `named` is what the header says; of a single service it need not say anything. */
export function namedService<Name extends string>(named: unknown, names: readonly Name[]): Name {
  const found = names.length === 1 ? names[0] : names.find((name) => name === named);
  if (found !== undefined) return found;
  throw refuse('INVALID_FIELD', `every service has its own: name one with the header ${SERVICE_HEADER}: ${names.join(' | ')}`, { header: SERVICE_HEADER, choices: names.join(',') });
}
