// A service's broker password in the wrong hands: all that is not that service's own to say and hear must be denied.
import { type NatsConnection, type Status, connect } from '@nats-io/transport-node';
import { INSPECTOR, SERVICES, SETUP_USER } from '../../../local/src/nats-permissions.ts';
import { natsLogin } from '../../../local/src/nats.ts';
import { CONSUMERS, EVENTS, STREAMS } from '../../../local/src/topology.ts';
import { attack } from '../attack.ts';
import type { Tally } from '../checks/tally.ts';
import type { Context } from '../experiment.ts';
import type { System } from '../system/system.ts';
import { pause } from '../wait.ts';

/** Whatever arrives under it was not denied. */
const MARK = 'a12-mark';
/** A violation is told before the answer to a ping, but read a moment later. */
const READ_MS = 200;
const CHANGING = ['STREAM.CREATE', 'STREAM.UPDATE', 'STREAM.DELETE', 'STREAM.PURGE', 'STREAM.MSG.DELETE', 'STREAM.SNAPSHOT', 'STREAM.RESTORE', 'STREAM.LEADER.STEPDOWN', 'STREAM.PEER.REMOVE'];
const ADMINISTERING = ['$JS.API.SERVER.REMOVE', '$JS.API.META.LEADER.STEPDOWN', '$JS.API.ACCOUNT.PURGE.$G', '$SYS.REQ.SERVER.PING', '$SYS.REQ.USER.INFO.x', `$JS.EVENT.ADVISORY.${MARK}`, `$KV.bucket.${MARK}`, MARK];

export const A12 = attack({
  id: 'A12',
  title: 'every broker user tries what is not theirs',
  tries: 'publications and subscriptions',
  changesNothing: true,
  async round({ system }: Context, tries) {
    await strangers(system, tries);
    const tap = await open(system, SETUP_USER);
    const leaked: string[] = [];
    tap.connection.subscribe('>', { callback: (_error, { subject }) => void (subject.includes(MARK) && leaked.push(subject)) });
    await tap.connection.flush();
    try {
      for (const user of [...SERVICES, INSPECTOR]) await asUser(system, user, tries);
      await pause(READ_MS);
      tries.look('everything that was said', leaked.length === 0 ? undefined : `${leaked.length} arrived, e.g. ${leaked[0]}`);
    } finally {
      await tap.connection.close();
    }
  },
});

/** Nobody comes in without a password, or with another's. */
async function strangers(system: System, tries: Tally): Promise<void> {
  const { host } = new URL(system.runtime.nats);
  const logins: Record<string, object> = { 'nobody': {}, 'an empty password': { user: 'order', pass: '' }, 'another\'s password': { user: 'order', pass: system.secret('nats-payment') }, 'an unknown user': { user: 'admin', pass: system.secret('nats-order') }, 'a token': { token: system.secret('nats-order') } };
  for (const [who, login] of Object.entries(logins)) {
    const connection = await connect({ servers: host, reconnect: false, ...login }).catch(() => undefined);
    tries.look(who, connection === undefined ? undefined : 'was let in');
    await connection?.close();
  }
}

async function asUser(system: System, user: string, tries: Tally): Promise<void> {
  const { connection, violations } = await open(system, user);
  try {
    const [publications, subscriptions] = [foreignSubjects(user), foreignInterests(user)];
    for (const subject of publications) connection.publish(subject, MARK);
    for (const subject of subscriptions) connection.subscribe(subject, { callback: () => {} });
    await connection.flush();
    await pause(READ_MS);
    for (const subject of publications) tries.look(`${user} says ${subject}`, violations.has(`publish ${subject}`) ? undefined : 'was not denied');
    for (const subject of subscriptions) tries.look(`${user} hears ${subject}`, violations.has(`subscription ${subject}`) ? undefined : 'was not denied');
  } finally {
    await connection.close();
  }
}

/** What this user has no business to say. */
function foreignSubjects(user: string): string[] {
  const word = EVENTS.find(({ saidBy }) => saidBy === user)?.stream.toLowerCase() ?? 'orders';
  const events = EVENTS.filter(({ saidBy }) => saidBy !== user).map(({ subject }) => `${subject}.${MARK}`);
  const streams = STREAMS.flatMap((stream) => [...CHANGING, ...(user === INSPECTOR ? [] : ['STREAM.MSG.GET', 'DIRECT.GET'])].map((verb) => `$JS.API.${verb}.${stream}`));
  const consumers = CONSUMERS.flatMap(({ service, stream, durable }) => {
    const making = [`CONSUMER.CREATE.${stream}.${durable}`, `CONSUMER.CREATE.${stream}.${durable}.>`.replace('>', `${stream.toLowerCase()}.x`), `CONSUMER.DURABLE.CREATE.${stream}.${durable}`, `CONSUMER.DELETE.${stream}.${durable}`, `CONSUMER.PAUSE.${stream}.${durable}`, `CONSUMER.UNPIN.${stream}.${durable}`];
    const reading = service === user ? [] : [`$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`, `$JS.ACK.${stream}.${durable}.1.1.1.1.0`, ...(user === INSPECTOR ? [] : [`$JS.API.CONSUMER.INFO.${stream}.${durable}`])];
    return [...making.map((verb) => `$JS.API.${verb}`), ...reading];
  });
  const inboxes = [...SERVICES.filter((name) => name !== user).map((name) => `_INBOX_${name}.${MARK}`), `_INBOX.${MARK}`];
  return [...events, `${word}.teleported.${MARK}`, `${word}.${MARK}`, ...streams, ...consumers, ...ADMINISTERING, ...inboxes];
}

/** What this user has no business to hear. */
function foreignInterests(user: string): string[] {
  const inboxes = SERVICES.filter((name) => name !== user).map((name) => `_INBOX_${name}.>`);
  const everything = ['>', '*.>', '$SYS.>', '$JS.API.>', '$JS.ACK.>', '_INBOX*.>'];
  return [...inboxes, ...everything, ...(user === INSPECTOR ? [] : ['_INBOX.>', '$JS.EVENT.ADVISORY.>', ...STREAMS.map((stream) => `${stream.toLowerCase()}.>`)])];
}

async function open(system: System, user: string): Promise<{ connection: NatsConnection; violations: Set<string> }> {
  const { host } = new URL(system.runtime.nats);
  const connection = await connect({ ...natsLogin(`nats://${user}:${encodeURIComponent(system.secret(`nats-${user}`))}@${host}`), reconnect: false, ...(user === INSPECTOR || user === SETUP_USER ? {} : { inboxPrefix: `_INBOX_${user}` }) });
  const violations = new Set<string>();
  void collect(connection.status(), violations);
  return { connection, violations };
}

async function collect(statuses: AsyncIterable<Status>, violations: Set<string>): Promise<void> {
  for await (const status of statuses) {
    const { operation, subject } = ('error' in status ? status.error : {}) as { operation?: string; subject?: string };
    if (operation !== undefined) violations.add(`${operation} ${subject}`);
  }
}
