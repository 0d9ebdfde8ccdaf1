// A small shop whose orders have come to every end there is, through the services' own doors: what the copies are taken from.
import { createClient } from '@connectrpc/connect';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { type Order, OrderService, OrderState, PaymentState } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { rows } from '../audit.ts';
import type { Broker } from '../consumers.ts';
import { transports } from '../load.ts';
import { SETTLED_MS, quiet } from '../quiet.ts';
import { type System, until } from '../system.ts';

/** Orders of the template; a filled system has a multiple of it. */
export const TEMPLATE_ORDERS = 100;
const SKUS = 4;
const STOCK = 1_000;

type Story = { paymentMethod: string; phone?: string; heard: PaymentState; end?: 'ship' | 'cancel' | 'refund' };
const PAID: Story = { paymentMethod: 'pm_card_visa', heard: PaymentState.PAID };
/** What each twentieth order goes through; most are just paid. */
const STORIES: readonly Story[] = [
  { ...PAID, end: 'ship' }, { ...PAID, end: 'ship', phone: '+491701234567' }, { ...PAID, end: 'cancel' }, { ...PAID, end: 'refund' },
  { paymentMethod: 'pm_card_chargeDeclined', heard: PaymentState.FAILED, end: 'cancel' }, { paymentMethod: '', heard: PaymentState.UNPAID, end: 'cancel' },
  ...Array.from({ length: 14 }, () => PAID),
];

export async function placeTemplate(system: System, broker: Broker): Promise<void> {
  const { edge, tokens, postgres } = system.runtime;
  const [transport] = transports(edge, tokens.admin);
  if (transport === undefined) throw new Error('no transport');
  const [orders, products, inventory] = [createClient(OrderService, transport), createClient(ProductService, transport), createClient(InventoryService, transport)];
  const skus = Array.from({ length: SKUS }, (_, n) => `fill-sku${n}`);
  for (const sku of skus) await products.createProduct({ product: { sku, name: `Article ${sku}`, price: { currencyCode: 'EUR', minorUnits: 1_250n } }, initialStock: STOCK });
  await until(async () => (await inventory.batchGetStock({ skus })).stockLevels.length === SKUS, SETTLED_MS);
  await Promise.all(Array.from({ length: TEMPLATE_ORDERS }, (_, n) => tell(n)));
  await quiet(broker, system);
  // Until then the provider may still say of a mail that it arrived.
  await until(async () => (await rows(postgres.notification, "SELECT FROM notification WHERE state = 'sent' LIMIT 1")).length === 0, SETTLED_MS);

  async function tell(n: number): Promise<void> {
    const { paymentMethod, phone = '', heard, end } = STORIES[n % STORIES.length] as Story;
    const lines = [{ sku: skus[n % SKUS] as string, quantity: 2 }, { sku: skus[(n + 1) % SKUS] as string, quantity: 1 }];
    const { order } = await orders.placeOrder({ requestId: `fill-order${n}`, customer: { customerId: `fill-customer${n}`, name: 'Ada Example', email: `fill-customer${n}@example.com`, phone }, lines, paymentMethod });
    const orderId = order?.orderId ?? '';
    const seen = (look: (order: Order) => boolean) => until(async () => look((await orders.getOrder({ orderId })).order as Order), SETTLED_MS);
    await seen(({ paymentState, state }) => paymentState === heard && (heard !== PaymentState.PAID || state === OrderState.CONFIRMED));
    const requestId = `fill-${end}${n}`;
    // Shipping waits until the stock is sold, which the order hears of a moment later.
    if (end === 'ship') await until(() => orders.fulfillOrder({ orderId, carrier: 'DHL', trackingNumber: '1' }).then(() => true, () => false), SETTLED_MS);
    if (end === 'cancel') await orders.cancelOrder({ orderId, requestId });
    if (end === 'refund') await orders.refundOrder({ orderId, lines: lines.slice(1), restock: true, reason: 'broken', requestId });
    if (end === 'cancel' && heard === PaymentState.PAID) await seen(({ paymentState }) => paymentState === PaymentState.REFUNDED);
    if (end === 'refund') await seen(({ paymentState }) => paymentState === PaymentState.PARTIALLY_REFUNDED);
  }
}
