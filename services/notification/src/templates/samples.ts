// Sample orders: what a template looks like before anybody bought anything, and food for a warm-up.

import { type Details, type Kind, KINDS } from '../notification.ts';
import type { Letter, Renderer } from './render.ts';

const DETAILS: Record<Kind, Details> = {
  order_confirmation: { payBefore: '2026-12-01T18:30:00.000Z' },
  payment_confirmation: { amount: '7897', currency: 'EUR' },
  payment_failed: { amount: '7897', currency: 'EUR', failure: 'Your card was declined.' },
  payment_action_required: { amount: '7897', currency: 'EUR', actionUrl: 'https://shop.example/orders/ord_sample/pay' },
  order_cancelled: { amount: '7897', currency: 'EUR', cause: 'expired' },
  order_fulfilled: { carrier: 'DHL', trackingNumber: '00340434161094042557' },
  refund: { amount: '2899', currency: 'EUR' },
  low_stock: { sku: 'MUG-BLUE', name: 'Blue mug', available: '3', threshold: '5' },
  operator_alert: { topic: 'dispute', amount: '7897', currency: 'EUR', reason: 'product_not_received' },
};

export function sampleLetter(kind: Kind, locale: string): Letter {
  return {
    kind,
    locale,
    orderId: kind === 'low_stock' ? '' : 'ord_sample',
    details: DETAILS[kind],
    customer: 'Ada Lovelace',
    order: {
      currency: 'EUR',
      total: '7897',
      lines: [
        { sku: 'MUG-BLUE', name: 'Blue mug', quantity: 2, unitPrice: '2499', lineTotal: '4998' },
        { sku: 'TEA-EG-250', name: 'Earl Grey, 250 g', quantity: 1, unitPrice: '2899', lineTotal: '2899' },
      ],
    },
  };
}

/** Handlebars compiles at the first use, and the first letters cost many times what the later ones do. */
const WARM_UP_ROUNDS = 20;

export function warmUp(renderer: Renderer): void {
  const kinds = Object.keys(KINDS) as Kind[];
  for (let i = 0; i < WARM_UP_ROUNDS; i += 1) for (const kind of kinds) for (const locale of renderer.languages) renderer.mail(sampleLetter(kind, locale));
}
