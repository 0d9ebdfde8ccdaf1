import { randomUUID } from 'node:crypto';
import { create, toJsonString, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { eventKind } from '@millrace/chassis/events/contracts';
import { StockCommittedSchema } from '@millrace/gen/millrace/inventory/v1/events_pb.js';
import { OrderState } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentSucceededSchema } from '@millrace/gen/millrace/payment/v1/events_pb.js';
import { PaymentState } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNats, type TestNats } from '../../../test/support/servers.ts';
import { eventually, startWorld, type World } from './test-support.ts';

let nats: TestNats;
let world: World;
const connections: NatsConnection[] = [];

beforeAll(async () => {
  nats = await startTestNats();
  world = await startWorld({ mug: { amount: 1_000n } }, { NATS_URL: nats.url('order') });
});
afterAll(async () => {
  await world.close();
  for (const connection of connections) await connection.close();
  await nats.stop();
});

async function connect(user: string): Promise<NatsConnection> {
  const connection = await nats.connect(user);
  connections.push(connection);
  return connection;
}

async function say<T extends Message>(user: string, schema: GenMessage<T>, orderId: string, body: MessageInitShape<GenMessage<T>>, copies = 1): Promise<void> {
  const js = jetstream(await connect(user));
  const id = randomUUID();
  for (let i = 0; i < copies; i += 1) {
    const head = headers();
    for (const [name, value] of Object.entries({ 'ce-id': id, 'ce-type': schema.typeName, 'ce-time': new Date().toISOString(), 'millrace-version': '1', 'Nats-Msg-Id': `${id}:${i}` })) head.set(name, value);
    await js.publish(`${eventKind(schema).subject}.${orderId}`, toJsonString(schema, create(schema, body)), { headers: head });
  }
}

test('a payment heard from the broker, three times, confirms an order once and is said on the broker once', async () => {
  const { order } = await world.ada.placeOrder({ requestId: 'r1', customer: {}, lines: [{ sku: 'mug', quantity: 1 }] });
  const orderId = order?.orderId ?? '';
  const eur = { currencyCode: 'EUR', minorUnits: 1_000n };
  await say('inventory', StockCommittedSchema, orderId, { orderId, version: 2 }, 2);
  await say('payment', PaymentSucceededSchema, orderId, { orderId, version: 3, payment: { amount: eur, captured: eur, state: PaymentState.SUCCEEDED } }, 3);
  await eventually('the confirmation', async () => (await world.ada.getOrder({ orderId })).order?.state === OrderState.CONFIRMED);
  await world.running.drain();
  const { entries } = await world.ada.getOrderTimeline({ orderId });
  expect(entries.map((entry) => entry.kind).toSorted()).toEqual(['inventory.committed', 'orders.confirmed', 'orders.placed', 'payments.succeeded']);

  const manager = await jetstreamManager(await connect('setup'));
  const { state } = await manager.streams.info('ORDERS', { subjects_filter: `orders.*.${orderId}` });
  expect(state.subjects).toEqual({ [`orders.placed.${orderId}`]: 1, [`orders.confirmed.${orderId}`]: 1 });
});
