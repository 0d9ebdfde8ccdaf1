// What a request may say about an intent, read into the intent's own fields.
import type { Intent } from '../store/records.ts';
import { newMethodId } from './attempt.ts';
import type { Call } from './call.ts';
import { CURRENCIES } from './currencies.ts';
import { badParam, badRequest, missing } from './errors.ts';
import type { Params } from './form.ts';
import { bool, choice, filledText, hash, metadata, required, text, texts } from './params.ts';
import { TEST_METHODS } from './test-methods.ts';

const MAX_AMOUNT = 99_999_999; // Stripe takes at most eight digits
const SHARED = [
  'amount', 'amount_details', 'application_fee_amount', 'capture_method', 'currency', 'customer', 'description', 'expand', 'excluded_payment_method_types', 'metadata',
  'payment_details', 'payment_method', 'payment_method_configuration', 'payment_method_data', 'payment_method_options', 'payment_method_types', 'receipt_email', 'setup_future_usage',
  'shipping', 'statement_descriptor', 'statement_descriptor_suffix', 'transfer_data', 'transfer_group', 'hooks',
];
const CONFIRMING = ['error_on_requires_action', 'mandate', 'mandate_data', 'off_session', 'radar_options', 'return_url', 'use_stripe_sdk', 'confirmation_token'];
export const CREATE = new Set([...SHARED, ...CONFIRMING, 'automatic_payment_methods', 'confirm', 'confirmation_method', 'on_behalf_of']);
export const UPDATE = new Set(SHARED);
export const CONFIRM = new Set([
  ...CONFIRMING, 'amount_details', 'capture_method', 'excluded_payment_method_types', 'expand', 'hooks', 'payment_details', 'payment_method', 'payment_method_data',
  'payment_method_options', 'payment_method_types', 'receipt_email', 'setup_future_usage', 'shipping',
]);
export const WITHOUT_MONEY = new Set(['metadata', 'description', 'expand', 'receipt_email', 'shipping']);

export function amount(value: number): number {
  if (value > MAX_AMOUNT) throw badParam('amount', 'amount_too_large', 'Amount must be no more than $999,999.99');
  return value;
}

export function currency(value: string): string {
  const code = value.toLowerCase();
  if (!CURRENCIES.has(code)) throw badParam('currency', undefined, `Invalid currency: ${value.slice(0, 20)}. Stripe currently supports these currencies: ${[...CURRENCIES].join(', ')}`);
  return code;
}

export function methodTypes(params: Params): Pick<Intent, 'types' | 'redirects'> {
  const automatic = hash(params, 'automatic_payment_methods');
  const listed = texts(params, 'payment_method_types');
  const enabled = automatic ? required(bool(automatic, 'enabled'), 'automatic_payment_methods[enabled]') : listed.length === 0;
  if (automatic && enabled && listed.length > 0) {
    throw badRequest('You may only specify one of these parameters: automatic_payment_methods, payment_method_types.');
  }
  if (!enabled) return { types: listed.length > 0 ? listed : ['card'], redirects: null };
  const redirects = (automatic && choice(automatic, 'allow_redirects', ['always', 'never'])) ?? 'always';
  return { types: ['card', 'us_bank_account'], redirects };
}

/** Fields that do not touch the money. */
export function details(params: Params, before?: Intent): Partial<Intent> {
  const customer = filledText(params, 'customer');
  if (customer !== undefined) throw missing('customer', customer, 'customer', 400);
  const returnUrl = filledText(params, 'return_url');
  if (returnUrl !== undefined && !(URL.canParse(returnUrl) && /^[a-z][a-z0-9+.-]*:\/\//i.test(returnUrl))) throw badParam('return_url', 'url_invalid', 'Not a valid URL');
  const fields: Partial<Intent> = { metadata: metadata(params, before?.metadata ?? {}) };
  if (returnUrl !== undefined) fields.returnUrl = returnUrl;
  if ('description' in params) fields.description = text(params, 'description', 1000) || undefined;
  if ('receipt_email' in params) fields.receiptEmail = text(params, 'receipt_email', 800) || undefined;
  if ('shipping' in params) fields.shipping = params['shipping'] === '' ? undefined : hash(params, 'shipping');
  return fields;
}

export function withMethod(params: Params, intent: Intent, call: Call): Intent {
  const name = methodName(params);
  if (name === undefined || name === intent.method) return intent;
  const method = TEST_METHODS.get(name);
  if (!method) throw missing('PaymentMethod', name.slice(0, 100), 'payment_method', 400);
  const types = call.id === '' || !('payment_method_types' in params) ? intent.types : texts(params, 'payment_method_types');
  if (!types.includes(method.kind)) {
    throw badParam('payment_method', undefined, `The PaymentMethod provided (${method.kind}) is not allowed for this PaymentIntent. Please attach a PaymentMethod of one of these types: ${types.join(', ').slice(0, 200)}.`);
  }
  const chosen = { ...intent, types, testMethod: name, method: newMethodId() };
  return chosen.status === 'requires_payment_method' ? { ...chosen, status: 'requires_confirmation' } : chosen;
}

/** `payment_method`, or the test token inside `payment_method_data`. */
function methodName(params: Params): string | undefined {
  const data = hash(params, 'payment_method_data');
  if (!data) return filledText(params, 'payment_method');
  const card = hash(data, 'card') ?? {};
  if ('number' in card) {
    throw badRequest('Sending credit card numbers directly to the Stripe API is generally unsafe. We suggest you use test tokens that map to the test card you are using, see https://docs.stripe.com/testing.');
  }
  return required(filledText(card, 'token'), 'payment_method_data[card][token]').replace(/^tok_/, 'pm_card_');
}
