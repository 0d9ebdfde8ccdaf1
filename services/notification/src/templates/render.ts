// Mails and text messages from templates: the copy says what, the layout says how it looks, Intl how money and dates are written.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import Handlebars from 'handlebars';
import { type Details, KINDS, type Kind, oneLine } from '../notification.ts';
import type { Copy, Facts } from './copy.ts';
import { de } from './de.ts';
import { en } from './en.ts';

const LANGUAGES: Record<string, Copy> = { en, de };
const WITH_LINES: readonly Kind[] = ['order_confirmation', 'payment_confirmation', 'order_fulfilled'];
/** Three text message segments: nobody pays for more because of a long name. */
const SMS_LIMIT = 459;

/** Compiles everything once. Only our own files are ever compiled; what people typed is data. */
export function createRenderer(shop: string): Renderer {
  const html = compileMail();
  const text = Handlebars.compile(file('mail.text.hbs'), { noEscape: true, strict: false });

  return {
    mail(letter) {
      const copy = copyFor(letter.locale);
      const facts = factsOf(letter, shop);
      const words = copy.words[letter.kind](facts);
      const buyer = KINDS[letter.kind].to === 'buyer';
      const body = words.body.filter(Boolean);
      const order = WITH_LINES.includes(letter.kind) && letter.order ? orderView(letter.order, letter.locale) : undefined;
      const view = {
        lang: copy.locale,
        shop,
        subject: oneLine(words.subject),
        preheader: body[0] ?? '',
        heading: words.heading,
        greeting: buyer ? copy.greeting(facts) : '',
        body,
        button: words.button?.url ? words.button : undefined,
        facts: (words.facts ?? []).flatMap(([label, value]) => (value.trim() ? [{ label, value: value.trim() }] : [])),
        labels: copy.labels,
        footer: buyer ? copy.footer(facts) : copy.adminFooter(facts),
        ...order,
      };
      return { subject: view.subject, html: html(view), text: text(view) };
    },
    sms(letter) {
      const { sms } = copyFor(letter.locale).words[letter.kind](factsOf(letter, shop));
      return sms ? oneLine(sms, SMS_LIMIT) : '';
    },
    languages: Object.keys(LANGUAGES),
  };
}

function compileMail(): Fill {
  const handlebars = Handlebars.create();
  handlebars.registerPartial('layout', file('layout.html.hbs'));
  handlebars.registerPartial('lines', file('lines.html.hbs'));
  return handlebars.compile(file('mail.html.hbs'));
}

function file(name: string): string {
  return readFileSync(path.join(import.meta.dirname, name), 'utf8');
}

/** Plain text; the HTML layout escapes it. */
function copyFor(locale: string): Copy {
  const copy = LANGUAGES[languageOf(locale)];
  if (!copy) throw new Error(`no copy for ${locale}`);
  return copy;
}

/** "de-AT" speaks "de"; what we have no words for is English. */
function languageOf(locale: string): string {
  const language = locale.slice(0, 2);
  return Object.hasOwn(LANGUAGES, language) ? language : 'en';
}

/** Numbers and dates in the same language as the words, with the region's own habits. */
function tagFor(locale: string): string {
  return languageOf(locale) === locale.slice(0, 2) ? locale : 'en';
}

const UNKNOWN = { carrier: '', trackingNumber: '', failure: '', reason: '', sku: '', name: '', available: '', threshold: '' };

function factsOf({ orderId, customer, details, locale }: Letter, shop: string): Facts {
  const { amount, currency, payBefore, cause, topic, actionUrl, ...rest } = details;
  return {
    ...UNKNOWN,
    ...rest,
    shop,
    orderId,
    customer: oneLine(customer),
    amount: amount && currency ? formatMoney(amount, currency, locale) : '',
    payBefore: payBefore ? formatTime(payBefore, locale) : '',
    actionUrl: actionUrl && /^https?:\/\//i.test(actionUrl) ? actionUrl : '',
    cause: (cause ?? 'operator') as Facts['cause'],
    topic: topic === 'dispute' ? 'dispute' : 'shortfall',
  };
}

function orderView(order: OrderView, locale: string) {
  const money = (minor: string) => formatMoney(minor, order.currency, locale);
  return {
    lines: order.lines.map((line) => ({ ...line, unitPrice: money(line.unitPrice), lineTotal: money(line.lineTotal) })),
    total: money(order.total),
  };
}

/** Minor units as people write them there: "1999" EUR is "€19.99" or "19,99 €"; exact, without floating point. */
export function formatMoney(minor: string, currency: string, locale: string): string {
  const { format, digits } = moneyFormat(tagFor(locale), currency);
  const sign = minor.startsWith('-') ? '-' : '';
  const padded = minor.replace('-', '').padStart(digits + 1, '0');
  const decimal = `${sign}${padded.slice(0, padded.length - digits)}${digits ? `.${padded.slice(-digits)}` : ''}`;
  return format(decimal as Intl.StringNumericLiteral);
}

type MoneyFormat = { format: (decimal: Intl.StringNumericLiteral) => string; digits: number };
/** Making a format costs more than rendering a mail. Bounded: the currencies × locales of one shop are few. */
const moneyFormats = new Map<string, MoneyFormat>();
const timeFormats = new Map<string, Intl.DateTimeFormat>();
const MAX_FORMATS = 500;

function moneyFormat(locale: string, currency: string): MoneyFormat {
  const key = `${locale} ${currency}`;
  const known = moneyFormats.get(key);
  if (known) return known;
  if (moneyFormats.size >= MAX_FORMATS) moneyFormats.clear();
  const intl = new Intl.NumberFormat(locale, { style: 'currency', currency });
  const made = { format: (decimal: Intl.StringNumericLiteral) => intl.format(decimal), digits: intl.resolvedOptions().maximumFractionDigits ?? 2 };
  moneyFormats.set(key, made);
  return made;
}

function formatTime(time: string, locale: string): string {
  const tag = tagFor(locale);
  const known = timeFormats.get(tag) ?? new Intl.DateTimeFormat(tag, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
  if (timeFormats.size < MAX_FORMATS) timeFormats.set(tag, known);
  return `${known.format(new Date(time))} UTC`;
}

export type OrderView = { currency: string; total: string; lines: { sku: string; name: string; quantity: number; unitPrice: string; lineTotal: string }[] };
/** All there is to say; amounts in minor units. */
export type Letter = { kind: Kind; locale: string; orderId: string; details: Details; customer: string; order?: OrderView };
export type Mail = { subject: string; html: string; text: string };
export type Renderer = { mail(letter: Letter): Mail; sms(letter: Letter): string; languages: string[] };

type Fill = (context: object) => string;
