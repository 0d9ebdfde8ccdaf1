// What mails and text messages say in German.

import type { Copy } from './copy.ts';

export const de: Copy = {
  locale: 'de',
  greeting: ({ customer }) => (customer ? `Guten Tag ${customer},` : 'Guten Tag,'),
  footer: ({ orderId, shop }) => `Sie erhalten diese Nachricht zu Ihrer Bestellung ${orderId} bei ${shop}.`,
  adminFooter: ({ shop }) => `Von ${shop} an die Betreiber.`,
  labels: { item: 'Artikel', quantity: 'Menge', price: 'Preis', total: 'Summe' },
  words: {
    order_confirmation: ({ orderId, payBefore }) => ({
      subject: `Ihre Bestellung ${orderId} ist eingegangen`,
      heading: 'Vielen Dank für Ihre Bestellung',
      body: [
        'Ihre Bestellung ist bei uns eingegangen, und alles liegt für Sie bereit.',
        payBefore ? `Bitte bezahlen Sie bis ${payBefore}: So lange halten wir die Ware für Sie zurück.` : 'Sobald Ihre Zahlung eingegangen ist, schreiben wir Ihnen wieder.',
      ],
      facts: [['Bestellung', orderId]],
    }),
    payment_confirmation: ({ orderId, amount, shop }) => ({
      subject: `Zahlung für Ihre Bestellung ${orderId} erhalten`,
      heading: 'Ihre Zahlung ist angekommen',
      body: [`Wir haben ${amount} erhalten. Vielen Dank!`, 'Wir machen Ihre Bestellung fertig und schreiben Ihnen, sobald sie unterwegs ist.'],
      facts: [['Bestellung', orderId], ['Bezahlt', amount]],
      sms: `${shop}: Wir haben Ihre Zahlung über ${amount} für Bestellung ${orderId} erhalten. Vielen Dank!`,
    }),
    payment_failed: ({ orderId, amount, failure, shop }) => ({
      subject: `Ihre Zahlung für Bestellung ${orderId} hat nicht geklappt`,
      heading: 'Ihre Zahlung hat nicht geklappt',
      body: [
        `Wir konnten ${amount} für Ihre Bestellung nicht abbuchen.${failure && ` Ihre Bank meldet: ${failure}`}`,
        'Es ist nichts verloren: Ihre Bestellung bleibt reserviert, und Sie können es noch einmal versuchen, gern mit einer anderen Karte.',
      ],
      facts: [['Bestellung', orderId], ['Offen', amount]],
      sms: `${shop}: Ihre Zahlung über ${amount} für Bestellung ${orderId} hat nicht geklappt. Die Bestellung bleibt reserviert, bitte versuchen Sie es noch einmal.`,
    }),
    payment_action_required: ({ orderId, amount, actionUrl }) => ({
      subject: `Noch ein Schritt für Ihre Bestellung ${orderId}`,
      heading: 'Bitte bestätigen Sie Ihre Zahlung',
      body: [
        `Ihre Bank möchte, dass Sie die Zahlung über ${amount} selbst bestätigen.${actionUrl ? '' : ' Öffnen Sie dazu bitte Ihre Bestellung im Shop.'}`,
        'Ihre Bestellung bleibt so lange reserviert.',
      ],
      facts: [['Bestellung', orderId], ['Offen', amount]],
      button: { label: 'Zahlung bestätigen', url: actionUrl },
    }),
    order_cancelled: ({ orderId, amount, cause, reason, shop }) => ({
      subject: `Ihre Bestellung ${orderId} wurde storniert`,
      heading: 'Ihre Bestellung wurde storniert',
      body: [
        {
          expired: 'Wir haben keine rechtzeitige Zahlung erhalten und die Ware wieder freigegeben.',
          out_of_stock: 'Es tut uns leid: Ihre Zahlung kam nach dem Ende der Reservierung, und inzwischen war die Ware ausverkauft.',
          operator: `Es tut uns leid: Wir mussten Ihre Bestellung stornieren.${reason && ` Der Grund: ${reason}`}`,
          buyer: 'Wir haben Ihre Bestellung wie gewünscht storniert.',
        }[cause],
        'Falls Sie schon bezahlt haben, erhalten Sie Ihr Geld ohne weiteres Zutun zurück.',
      ],
      facts: [['Bestellung', orderId], ['Summe', amount]],
      sms: `${shop}: Ihre Bestellung ${orderId} wurde storniert. Falls Sie schon bezahlt haben, erhalten Sie Ihr Geld zurück.`,
    }),
    order_fulfilled: ({ orderId, carrier, trackingNumber, shop }) => ({
      subject: `Ihre Bestellung ${orderId} ist unterwegs`,
      heading: 'Ihre Bestellung ist unterwegs',
      body: [`Wir haben Ihre Bestellung${carrier && ` an ${carrier}`} übergeben. Sie sollte bald bei Ihnen sein.`],
      facts: [['Bestellung', orderId], ['Versand mit', carrier], ['Sendungsnummer', trackingNumber]],
      sms: `${shop}: Ihre Bestellung ${orderId} ist unterwegs${carrier && ` mit ${carrier}`}${trackingNumber && `, Sendungsnummer ${trackingNumber}`}.`,
    }),
    refund: ({ orderId, amount }) => ({
      subject: `Ihre Erstattung für Bestellung ${orderId}`,
      heading: `Sie erhalten ${amount} zurück`,
      body: [`Wir haben ${amount} auf die Karte erstattet, mit der Sie bezahlt haben. Bis Ihre Bank das anzeigt, kann es einige Tage dauern.`],
      facts: [['Bestellung', orderId], ['Erstattet', amount]],
    }),
    low_stock: ({ sku, name, available, threshold }) => ({
      subject: `Bestand niedrig: ${sku}, noch ${available}`,
      heading: `Noch ${available} von ${name || sku}`,
      body: ['Der Bestand hat seine Meldegrenze erreicht. Diese Nachricht kommt einmal, bis sich der Bestand erholt hat.'],
      facts: [['Artikel', sku], ['Verfügbar', available], ['Meldegrenze', threshold]],
    }),
    operator_alert: ({ orderId, amount, topic, reason }) => ({
      subject: `${topic === 'dispute' ? 'Zahlung beanstandet' : 'Ware fehlt'}: Bestellung ${orderId}`,
      heading: topic === 'dispute' ? 'Eine Zahlung wurde beanstandet' : 'Eine bezahlte Bestellung kann nicht bedient werden',
      body: [
        topic === 'dispute'
          ? `Die Bank des Käufers beanstandet die Zahlung über ${amount}.${reason && ` Als Grund nennt sie: ${reason}.`} Bitte antworten Sie im Dashboard des Zahlungsdienstes.`
          : 'Die Zahlung kam nach dem Ende der Reservierung, und die Ware war verkauft. Die Bestellung ist storniert, das Geld geht von selbst zurück; bitte prüfen Sie den Bestand.',
      ],
      facts: [['Bestellung', orderId], ['Betrag', amount]],
    }),
  },
};
