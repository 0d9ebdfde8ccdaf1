// Stripe's test payment methods (docs.stripe.com/testing) and what each one does when it is charged.
export interface Decline {
  code: string;
  decline_code?: string;
  message: string;
}

export interface TestMethod {
  kind: 'card' | 'us_bank_account';
  brand: string;
  last4: string;
  decline?: Decline; // refused when charged, or after the customer authenticated
  authenticates?: true; // asks the customer first
  processes?: true; // the outcome comes seconds later
  dispute?: string; // the customer disputes the charge, for this reason
  refund?: 'pending' | 'fails'; // a refund takes its time, or fails after a while
}

const CODES = {
  generic: { code: 'card_declined', decline_code: 'generic_decline', message: 'Your card was declined.' },
  funds: { code: 'card_declined', decline_code: 'insufficient_funds', message: 'Your card has insufficient funds.' },
  lost: { code: 'card_declined', decline_code: 'lost_card', message: 'Your card was declined.' },
  stolen: { code: 'card_declined', decline_code: 'stolen_card', message: 'Your card was declined.' },
  velocity: { code: 'card_declined', decline_code: 'card_velocity_exceeded', message: 'Your card was declined for making repeated attempts too frequently or exceeding its amount limit.' },
  fraud: { code: 'card_declined', decline_code: 'fraudulent', message: 'Your card was declined.' },
  expired: { code: 'expired_card', decline_code: 'expired_card', message: 'Your card has expired.' },
  cvc: { code: 'incorrect_cvc', decline_code: 'incorrect_cvc', message: "Your card's security code is incorrect." },
  processing: { code: 'processing_error', decline_code: 'processing_error', message: 'An error occurred while processing your card. Try again in a little bit.' },
} satisfies Record<string, Decline>;

export const GENERIC_DECLINE: Decline = CODES.generic;
export const AUTHENTICATION_REQUIRED: Decline = {
  code: 'authentication_required',
  decline_code: 'authentication_required',
  message: 'Your card was declined. This transaction requires authentication.',
};
export const AUTHENTICATION_FAILED: Decline = {
  code: 'payment_intent_authentication_failure',
  message: 'The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again.',
};

const card = (last4: string, more: Partial<TestMethod> = {}): TestMethod => ({ kind: 'card', brand: 'visa', last4, ...more });
const bank = (last4: string, more: Partial<TestMethod> = {}): TestMethod => ({ kind: 'us_bank_account', brand: 'bank', last4, processes: true, ...more });

export const TEST_METHODS: ReadonlyMap<string, TestMethod> = new Map(
  Object.entries({
    pm_card_visa: card('4242'),
    pm_card_visa_debit: card('5556'),
    pm_card_mastercard: card('4444', { brand: 'mastercard' }),
    pm_card_mastercard_debit: card('8210', { brand: 'mastercard' }),
    pm_card_amex: card('0005', { brand: 'amex' }),
    pm_card_discover: card('1117', { brand: 'discover' }),
    pm_card_us: card('4242'),
    pm_card_de: card('0016'),
    pm_card_gb: card('0003'),
    pm_card_chargeDeclined: card('0002', { decline: CODES.generic }),
    pm_card_visa_chargeDeclined: card('0002', { decline: CODES.generic }),
    pm_card_chargeDeclinedInsufficientFunds: card('9995', { decline: CODES.funds }),
    pm_card_visa_chargeDeclinedInsufficientFunds: card('9995', { decline: CODES.funds }),
    pm_card_chargeDeclinedLostCard: card('9987', { decline: CODES.lost }),
    pm_card_visa_chargeDeclinedLostCard: card('9987', { decline: CODES.lost }),
    pm_card_chargeDeclinedStolenCard: card('9979', { decline: CODES.stolen }),
    pm_card_visa_chargeDeclinedStolenCard: card('9979', { decline: CODES.stolen }),
    pm_card_chargeDeclinedVelocityLimitExceeded: card('6975', { decline: CODES.velocity }),
    pm_card_visa_chargeDeclinedVelocityLimitExceeded: card('6975', { decline: CODES.velocity }),
    pm_card_chargeDeclinedFraudulent: card('0019', { decline: CODES.fraud }),
    pm_card_radarBlock: card('0019', { decline: CODES.fraud }),
    pm_card_chargeDeclinedExpiredCard: card('0069', { decline: CODES.expired }),
    pm_card_chargeDeclinedIncorrectCvc: card('0127', { decline: CODES.cvc }),
    pm_card_chargeDeclinedProcessingError: card('0119', { decline: CODES.processing }),
    pm_card_chargeCustomerFail: card('0341', { decline: CODES.generic }),
    pm_card_authenticationRequired: card('3184', { authenticates: true }),
    pm_card_authenticationRequiredOnSetup: card('3155', { authenticates: true }),
    pm_card_threeDSecure2Required: card('3220', { authenticates: true }),
    pm_card_threeDSecureRequired: card('3063', { authenticates: true }),
    pm_card_authenticationRequiredChargeDeclinedInsufficientFunds: card('8260', { authenticates: true, decline: CODES.funds }),
    pm_card_createDispute: card('0259', { dispute: 'fraudulent' }),
    pm_card_createDisputeProductNotReceived: card('2685', { dispute: 'product_not_received' }),
    pm_card_createDisputeInquiry: card('1976', { dispute: 'general' }),
    pm_card_pendingRefund: card('7726', { refund: 'pending' }),
    pm_card_refundFail: card('5126', { refund: 'fails' }),
    pm_usBankAccount: bank('6789'),
    pm_usBankAccount_success: bank('6789'),
    pm_usBankAccount_insufficientFunds: bank('2227', { decline: { code: 'payment_intent_payment_attempt_failed', decline_code: 'insufficient_funds', message: 'The customer\'s account has insufficient funds to cover this payment.' } }),
  } satisfies Record<string, TestMethod>),
);
