// What mails and text messages say in English.

import type { Copy } from './copy.ts';

export const en: Copy = {
  locale: 'en',
  greeting: ({ customer }) => (customer ? `Hello ${customer},` : 'Hello,'),
  footer: ({ orderId, shop }) => `You get this message because of your order ${orderId} at ${shop}.`,
  adminFooter: ({ shop }) => `Sent by ${shop} to its operators.`,
  labels: { item: 'Item', quantity: 'Quantity', price: 'Price', total: 'Total' },
  words: {
    order_confirmation: ({ orderId, payBefore }) => ({
      subject: `We have your order ${orderId}`,
      heading: 'Thank you for your order',
      body: [
        'We have received your order and set everything aside for you.',
        payBefore ? `Please pay by ${payBefore}: until then we hold the goods for you.` : 'We will write again as soon as your payment has gone through.',
      ],
      facts: [['Order', orderId]],
    }),
    payment_confirmation: ({ orderId, amount, shop }) => ({
      subject: `Payment received for your order ${orderId}`,
      heading: 'Your payment has arrived',
      body: [`We have received ${amount}. Thank you!`, 'We are getting your order ready and will write again when it is on its way.'],
      facts: [['Order', orderId], ['Paid', amount]],
      sms: `${shop}: we have received your payment of ${amount} for order ${orderId}. Thank you!`,
    }),
    payment_failed: ({ orderId, amount, failure, shop }) => ({
      subject: `Your payment for order ${orderId} did not go through`,
      heading: 'Your payment did not go through',
      body: [
        `We could not collect ${amount} for your order.${failure && ` Your bank says: ${failure}`}`,
        'Nothing is lost: your order is still reserved, and you can try again, with another card if you like.',
      ],
      facts: [['Order', orderId], ['Open', amount]],
      sms: `${shop}: your payment of ${amount} for order ${orderId} did not go through. Your order is still reserved, please try again.`,
    }),
    payment_action_required: ({ orderId, amount, actionUrl }) => ({
      subject: `One more step to pay for your order ${orderId}`,
      heading: 'Please confirm your payment',
      body: [
        `Your bank wants you to confirm the payment of ${amount} yourself.${actionUrl ? '' : ' Please open your order in the shop to do so.'}`,
        'Your order stays reserved meanwhile.',
      ],
      facts: [['Order', orderId], ['Open', amount]],
      button: { label: 'Confirm the payment', url: actionUrl },
    }),
    order_cancelled: ({ orderId, amount, cause, reason, shop }) => ({
      subject: `Your order ${orderId} was cancelled`,
      heading: 'Your order was cancelled',
      body: [
        {
          expired: 'We did not receive a payment in time and have released the goods.',
          out_of_stock: 'We are sorry: your payment came after the reservation had ended, and by then the goods were sold out.',
          operator: `We are sorry: we had to cancel your order.${reason && ` The reason: ${reason}`}`,
          buyer: 'We have cancelled your order as you wished.',
        }[cause],
        'If you have paid already, you get your money back without doing anything.',
      ],
      facts: [['Order', orderId], ['Total', amount]],
      sms: `${shop}: your order ${orderId} was cancelled. If you have paid already, you get your money back.`,
    }),
    order_fulfilled: ({ orderId, carrier, trackingNumber, shop }) => ({
      subject: `Your order ${orderId} is on its way`,
      heading: 'Your order is on its way',
      body: [`We have handed your order over${carrier && ` to ${carrier}`}. It should be with you soon.`],
      facts: [['Order', orderId], ['Carrier', carrier], ['Tracking number', trackingNumber]],
      sms: `${shop}: your order ${orderId} is on its way${carrier && ` with ${carrier}`}${trackingNumber && `, tracking number ${trackingNumber}`}.`,
    }),
    refund: ({ orderId, amount }) => ({
      subject: `Your refund for order ${orderId}`,
      heading: `You get ${amount} back`,
      body: [`We have refunded ${amount} to the card you paid with. Your bank may take a few days to show it.`],
      facts: [['Order', orderId], ['Refunded', amount]],
    }),
    low_stock: ({ sku, name, available, threshold }) => ({
      subject: `Low stock: ${sku}, ${available} left`,
      heading: `${available} left of ${name || sku}`,
      body: ['The stock has reached its threshold. You get this message once, until the stock has recovered.'],
      facts: [['Product', sku], ['Available', available], ['Threshold', threshold]],
    }),
    operator_alert: ({ orderId, amount, topic, reason }) => ({
      subject: `${topic === 'dispute' ? 'Disputed payment' : 'Stock shortfall'}: order ${orderId}`,
      heading: topic === 'dispute' ? 'A payment is disputed' : 'A paid order could not be served',
      body: [
        topic === 'dispute'
          ? `The bank of the buyer disputes the payment of ${amount}.${reason && ` The reason given: ${reason}.`} Please answer in the payment provider’s dashboard.`
          : 'The payment came after the reservation had ended, and the stock was gone. The order is cancelled and the money goes back by itself; please check the stock.',
      ],
      facts: [['Order', orderId], ['Amount', amount]],
    }),
  },
};
