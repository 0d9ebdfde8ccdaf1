// What each broker user may do. Services: say their own events, read and ack their own consumers, nothing else.
import { CONSUMERS, EVENTS, STREAMS } from './topology.ts';

export type Permissions = { publish: Rule; subscribe: Rule };
type Rule = { allow: string[]; deny?: string[] };

export const SERVICES = ['order', 'product', 'inventory', 'payment', 'notification'] as const;
export type Service = (typeof SERVICES)[number];

/** Makes streams and consumers; may do everything. */
export const SETUP_USER = 'setup';
/** For people with the `nats` command: sees every event, changes nothing. */
export const INSPECTOR = 'inspector';

export function servicePermissions(service: string): Permissions {
  const own = EVENTS.filter((event) => event.saidBy === service).map((event) => `${event.subject}.*`);
  const consumers = CONSUMERS.filter((consumer) => consumer.service === service);
  const heard = consumers.flatMap(({ stream, durable }) => [
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`,
    `$JS.API.CONSUMER.INFO.${stream}.${durable}`,
    `$JS.ACK.${stream}.${durable}.>`,
  ]);
  const known = new Set([...EVENTS.filter((event) => event.saidBy === service), ...consumers].map(({ stream }) => stream));
  return {
    publish: { allow: [...own, ...heard, ...[...known].map((stream) => `$JS.API.STREAM.INFO.${stream}`)] },
    subscribe: { allow: [`_INBOX_${service}.>`, ...EVENTS.filter((event) => event.overheardBy.includes(service)).map((event) => `${event.subject}.*`)] },
  };
}

export function inspectorPermissions(): Permissions {
  const reading = ['INFO', 'STREAM.LIST', 'STREAM.NAMES', 'STREAM.INFO.*', 'STREAM.MSG.GET.*', 'DIRECT.GET.>', 'CONSUMER.LIST.*', 'CONSUMER.NAMES.*', 'CONSUMER.INFO.*.*'];
  // `nats stream view` makes a consumer of its own, reads through it and removes it.
  const viewing = ['CONSUMER.CREATE.>', 'CONSUMER.DURABLE.CREATE.*.*', 'CONSUMER.MSG.NEXT.*.*', 'CONSUMER.DELETE.*.*'];
  // The services' consumers share those subjects: reading from them would take their messages, creating would change them.
  const guarded = [...new Set(CONSUMERS.map(({ durable }) => durable))].flatMap((name) => [
    `$JS.API.CONSUMER.CREATE.*.${name}`,
    `$JS.API.CONSUMER.CREATE.*.${name}.>`,
    `$JS.API.CONSUMER.DURABLE.CREATE.*.${name}`,
    `$JS.API.CONSUMER.MSG.NEXT.*.${name}`,
    `$JS.API.CONSUMER.DELETE.*.${name}`,
    `$JS.ACK.*.${name}.>`,
  ]);
  return {
    publish: { allow: [...[...reading, ...viewing].map((call) => `$JS.API.${call}`), '$JS.ACK.>'], deny: guarded },
    subscribe: { allow: [...STREAMS.map((stream) => `${stream.toLowerCase()}.>`), '_INBOX.>', '$JS.EVENT.ADVISORY.>', '$JS.EVENT.METRIC.>'] },
  };
}
