import { describe, expect, it } from 'vitest';
import { KINDS, type Kind } from '../notification.ts';
import { createRenderer, formatMoney, type Letter } from './render.ts';
import { sampleLetter } from './samples.ts';

const kinds = Object.keys(KINDS) as Kind[];
const renderer = createRenderer('Mill & Race');
const plain = (text: string) => text.replaceAll(/[\u00a0\u202f]/g, ' ');

describe.each(['en', 'de', 'de-AT', 'fr', ''])('in the language "%s"', (locale) => {
  it.each(kinds)('%s has a subject, HTML, text, and a text message exactly when the kind is sent as one', (kind) => {
    const letter = sampleLetter(kind, locale);
    const mail = renderer.mail(letter);
    expect(mail.subject).toMatch(/^\S.{5,}$/);
    expect(mail.html).toContain('</html>');
    expect(mail.html).toContain(`<html lang="${locale.startsWith('de') ? 'de' : 'en'}">`);
    expect(mail.text.length).toBeGreaterThan(60);
    expect(`${mail.subject}${mail.html}${mail.text}`).not.toMatch(/\{\{|undefined|\[object|null/);
    expect(renderer.sms(letter) !== '').toBe((KINDS[kind].channels as readonly string[]).includes('sms'));
  });
});

describe('what people typed', () => {
  const evil = '<img src=x onerror=alert(1)>{{constructor}}\r\nBcc: all@x.example';
  const letter = (kind: Kind): Letter => ({
    ...sampleLetter(kind, 'en'),
    customer: evil,
    details: { ...sampleLetter(kind, 'en').details, cause: 'operator', reason: evil, failure: evil, carrier: evil, trackingNumber: evil, name: evil, sku: evil, topic: 'dispute' },
    order: { currency: 'EUR', total: '1', lines: [{ sku: evil, name: evil, quantity: 1, unitPrice: '1', lineTotal: '1' }] },
  });

  it.each(kinds)('is never markup, a template or a header in %s', (kind) => {
    const mail = renderer.mail(letter(kind));
    expect(mail.html).not.toContain('<img');
    expect(mail.subject).not.toMatch(/[\r\n]/);
    expect(renderer.sms(letter(kind))).not.toMatch(/[\r\n]/);
    expect(renderer.sms(letter(kind)).length).toBeLessThanOrEqual(459);
  });

  it('is no link unless it leads to the web', () => {
    const action = (actionUrl: string) => renderer.mail({ ...sampleLetter('payment_action_required', 'en'), details: { amount: '1', currency: 'EUR', actionUrl } });
    expect(action('javascript:alert(1)').html).not.toContain('javascript:');
    expect(action('https://bank.example/3ds?a=1&b="2"').html).toContain('href="https://bank.example/3ds?a&#x3D;1&amp;b&#x3D;&quot;2&quot;"');
  });
});

it.each([
  ['1999', 'EUR', 'en', '€19.99'],
  ['1999', 'EUR', 'de', '19,99 €'],
  ['-5', 'EUR', 'en', '-€0.05'],
  ['1500', 'JPY', 'en', '¥1,500'],
  ['1500', 'KWD', 'en', 'KWD 1.500'],
  ['999999999999', 'USD', 'de', '9.999.999.999,99 $'],
  ['100', 'EUR', 'fr', '€1.00'],
])('%s minor units of %s are %s: %s', (minor, currency, locale, written) => {
  expect(plain(formatMoney(minor, currency, locale))).toBe(written);
});

it('shows every line of the order and its total', () => {
  const mail = renderer.mail(sampleLetter('order_confirmation', 'de'));
  for (const part of ['2 × 24,99 €', '49,98 €', 'Earl Grey, 250 g', '78,97 €', 'Guten Tag Ada Lovelace']) {
    expect(plain(mail.html)).toContain(part);
  }
  expect(plain(mail.text)).toContain('Summe: 78,97 €');
});

it('asks for the payment only when it is still open', () => {
  const letter = sampleLetter('order_confirmation', 'en');
  expect(renderer.mail(letter).text).toContain('December 1, 2026 at 6:30 PM UTC');
  expect(renderer.mail({ ...letter, details: {} }).text).not.toContain('Please pay');
});
