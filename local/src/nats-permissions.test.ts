import { describe, expect, test } from 'vitest';
import { SERVICES, inspectorPermissions, servicePermissions } from './nats-permissions.ts';
import { EVENTS, STREAMS } from './topology.ts';

test('the streams are the five of the design', () => {
  expect([...STREAMS].toSorted()).toEqual(['INVENTORY', 'NOTIFICATIONS', 'ORDERS', 'PAYMENTS', 'PRODUCTS']);
});

test('every event is said by a service and heard only by others that exist', () => {
  for (const { saidBy, heardBy } of EVENTS) {
    expect(SERVICES).toContain(saidBy);
    for (const hearer of heardBy) expect(SERVICES).toContain(hearer);
    expect(heardBy).not.toContain(saidBy);
  }
});

describe.each(SERVICES)('%s', (service) => {
  const { publish, subscribe } = servicePermissions(service);

  test('may publish its own events and no others', () => {
    const events = publish.allow.filter((subject) => !subject.startsWith('$'));
    expect(events.toSorted()).toEqual(EVENTS.filter((event) => event.saidBy === service).map((event) => `${event.subject}.*`).toSorted());
  });

  test('may take and ack from its own consumers only', () => {
    const calls = publish.allow.filter((subject) => /CONSUMER|ACK/.test(subject));
    for (const call of calls) expect(call).toMatch(new RegExp(`^\\$JS\\.(API\\.CONSUMER\\.(MSG\\.NEXT|INFO)\\.[A-Z]+\\.${service}(-[a-z_]+)?|ACK\\.[A-Z]+\\.${service}(-[a-z_]+)?\\.>)$`));
  });

  test('may change nothing about streams', () => {
    expect(publish.allow.filter((subject) => /STREAM\.(CREATE|UPDATE|DELETE|PURGE)|CONSUMER\.(CREATE|DELETE)/.test(subject))).toEqual([]);
  });

  test('listens to its own inbox, to what its contract lets it overhear, and to nothing else', () => {
    const overheard = EVENTS.filter((event) => event.overheardBy.includes(service)).map((event) => `${event.subject}.*`);
    expect(subscribe).toEqual({ allow: [`_INBOX_${service}.>`, ...overheard] });
  });
});

test('the inspector sees every stream and says nothing on any', () => {
  const { publish, subscribe } = inspectorPermissions();
  for (const stream of STREAMS) expect(subscribe.allow).toContain(`${stream.toLowerCase()}.>`);
  expect(publish.allow.filter((subject) => !subject.startsWith('$JS.'))).toEqual([]);
  expect(publish.allow.filter((subject) => /STREAM\.(CREATE|UPDATE|DELETE|PURGE|MSG\.DELETE|RESTORE)/.test(subject))).toEqual([]);
});
