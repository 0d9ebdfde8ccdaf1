// Errors in Stripe's shape. Thrown = refused before the work began (an idempotency key remembers nothing of it);
// an endpoint that has begun returns its error as an outcome instead.
export interface ErrorFields {
  type: 'invalid_request_error' | 'card_error' | 'api_error' | 'idempotency_error';
  message: string;
  code?: string;
  decline_code?: string;
  param?: string;
  charge?: string;
  [field: string]: unknown;
}

export class StripeRefusal extends Error {
  override name = 'StripeRefusal';
  readonly status: number;
  readonly fields: ErrorFields;
  constructor(status: number, fields: ErrorFields) {
    super(fields.message);
    this.status = status;
    this.fields = fields;
  }
}

/** A 400 about one parameter. */
export function badParam(param: string, code: string | undefined, message: string): StripeRefusal {
  return new StripeRefusal(400, withDocs({ type: 'invalid_request_error', code, message, param }));
}

export function badRequest(message: string, code?: string): StripeRefusal {
  return new StripeRefusal(400, withDocs({ type: 'invalid_request_error', code, message }));
}

/** An id in the path is answered with 404, one in the body with 400. */
export function missing(kind: string, id: string, param: string, status: 400 | 404): StripeRefusal {
  return new StripeRefusal(status, withDocs({ type: 'invalid_request_error', code: 'resource_missing', message: `No such ${kind}: '${id}'`, param }));
}

export function withDocs(fields: ErrorFields): ErrorFields {
  return fields.code ? { ...fields, doc_url: `https://docs.stripe.com/error-codes/${fields.code.replaceAll('_', '-')}` } : fields;
}

/** What Stripe says for a status that a fault asks for. */
export function faultFields(status: number): ErrorFields {
  if (status === 429) {
    return { type: 'invalid_request_error', code: 'rate_limit', message: 'Request rate limit exceeded. You can learn more about rate limits here https://docs.stripe.com/rate-limits.' };
  }
  if (status === 409) {
    return { type: 'invalid_request_error', code: 'lock_timeout', message: 'This object cannot be accessed right now because another API request or Stripe process is currently accessing it.' };
  }
  if (status === 402) return { type: 'card_error', code: 'card_declined', decline_code: 'generic_decline', message: 'Your card was declined.' };
  if (status < 500) return { type: 'invalid_request_error', message: `The request was refused (a fault of the sandbox, status ${status}).` };
  return { type: 'api_error', message: 'Sorry! There was an error while talking to Stripe. Please try again in a moment.' };
}
