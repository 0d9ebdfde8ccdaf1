// Mails and text messages from templates: the copy says what, the layout says how it looks, Intl how money and dates are written.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import Handlebars from 'handlebars';
import { type Details, KINDS, type Kind, oneLine } from '../notification.ts';
import type { Copy, Words } from './copy.ts';
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
  const copies = new Map(Object.entries(LANGUAGES).map(([language, copy]) => [language, compileCopy(copy)]));

  return {
    mail(letter) {
      const copy = copyFor(copies, letter.locale);
      const words = copy.words[letter.kind];
      const facts = contextOf(letter, shop);
      const fill = (template: Fill) => template(facts).trim();
      const buyer = KINDS[letter.kind].to === 'buyer';
      const body = words.body.map(fill).filter(Boolean);
      const button = words.button && { label: fill(words.button.label), url: fill(words.button.url) };
      const order = WITH_LINES.includes(letter.kind) && letter.order ? orderView(letter.order, letter.locale) : undefined;
      const view = {
        lang: copy.locale,
        shop,
        subject: oneLine(fill(words.subject)),
        preheader: body[0] ?? '',
        heading: fill(words.heading),
        greeting: buyer ? fill(copy.greeting) : '',
        body,
        button: button?.url ? button : undefined,
        facts: words.facts.map(([label, value]) => ({ label, value: fill(value) })).filter((fact) => fact.value),
        labels: copy.labels,
        footer: fill(buyer ? copy.footer : copy.adminFooter),
        ...order,
      };
      return { subject: view.subject, html: html(view), text: text(view) };
    },
    sms(letter) {
      const template = copyFor(copies, letter.locale).words[letter.kind].sms;
      return template ? oneLine(template(contextOf(letter, shop)), SMS_LIMIT) : '';
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

/** The copy fills in plain text; the HTML layout escapes it. */
function compileCopy(copy: Copy): CompiledCopy {
  const compile = (template: string): Fill => Handlebars.compile(template, { noEscape: true });
  const compileWords = (words: Words) => ({
    subject: compile(words.subject),
    heading: compile(words.heading),
    body: words.body.map(compile),
    facts: (words.facts ?? []).map(([label, value]) => [label, compile(value)] as const),
    button: words.button && { label: compile(words.button.label), url: compile(words.button.url) },
    sms: words.sms === undefined ? undefined : compile(words.sms),
  });
  const words = Object.fromEntries(Object.entries(copy.words).map(([kind, value]) => [kind, compileWords(value)])) as CompiledCopy['words'];
  return { locale: copy.locale, labels: copy.labels, greeting: compile(copy.greeting), footer: compile(copy.footer), adminFooter: compile(copy.adminFooter), words };
}

function copyFor(copies: Map<string, CompiledCopy>, locale: string): CompiledCopy {
  const copy = copies.get(languageOf(locale));
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

function contextOf({ orderId, customer, details, locale }: Letter, shop: string) {
  const { amount, currency, payBefore, cause, topic, actionUrl, ...rest } = details;
  return {
    ...rest,
    shop,
    orderId,
    customer: customer && oneLine(customer),
    amount: amount && currency ? formatMoney(amount, currency, locale) : '',
    payBefore: payBefore ? formatTime(payBefore, locale) : '',
    actionUrl: actionUrl && /^https?:\/\//i.test(actionUrl) ? actionUrl : '',
    cause: { [cause ?? 'operator']: true },
    topic: topic ? { [topic]: true } : {},
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
type CompiledWords = { subject: Fill; heading: Fill; body: Fill[]; facts: (readonly [string, Fill])[]; button?: { label: Fill; url: Fill } | undefined; sms?: Fill | undefined };
type CompiledCopy = Pick<Copy, 'locale' | 'labels'> & { greeting: Fill; footer: Fill; adminFooter: Fill; words: Record<Kind, CompiledWords> };
