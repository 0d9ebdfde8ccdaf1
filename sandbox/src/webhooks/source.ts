// Where a provider's webhooks come from: each builds its own requests, genuine and forged.
export interface WebhookRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
}

export interface WebhookSource {
  /** Undefined when there is nothing (any more) to tell, or nobody to tell it to. */
  build(hook: string): WebhookRequest | undefined;
  /** A request that a receiver must refuse; `variant` counts up and chooses the kind of forgery. */
  forge(hook: string, variant: number): WebhookRequest | undefined;
  /** An answer after which this provider does not try again. */
  isFinal(status: number): boolean;
}
