// Twilio's message API with fetch (its SDK weighs 21 MB and can't be pointed at another host), and the signature of its callbacks.
// Source: twilio.com/docs/messaging/api/message-resource, twilio.com/docs/usage/security#validating-requests.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Outcome } from './notification.ts';
import { callOutcome, neverConnected, twilioOutcome } from './provider-errors.ts';

/** Twilio answers in well under a second; the lease of the row must outlast this. */
const TIMEOUT_MS = 10_000;
/** Messages to one number since a moment: more than one page would be a flood. */
const LOOK_UP_PAGE = 100;
/** How far Twilio's clock may be from ours; its times have no fractions of a second either. */
const CLOCK_SKEW_MS = 30_000;
const VERSION = '2010-04-01';

export type OutgoingText = { notificationId: string; orderId: string; kind: string; to: string; body: string };

export type Twilio = {
  /** Never throws. */
  send(text: OutgoingText): Promise<Outcome>;
  /** The provider's id of a message with one of these bodies, created since then; throws when it can't be asked. */
  find(to: string, bodies: readonly string[], since: Date): Promise<string | undefined>;
};

export function createTwilio(options: { accountSid: string; authToken: string; from: string; apiBase: string; callbackUrl?: string | undefined }): Twilio {
  const messages = `${options.apiBase}/${VERSION}/Accounts/${options.accountSid}/Messages.json`;
  const authorization = `Basic ${Buffer.from(`${options.accountSid}:${options.authToken}`).toString('base64')}`;
  const call = (url: string, body?: URLSearchParams) =>
    fetch(url, { method: body ? 'POST' : 'GET', headers: { authorization }, signal: AbortSignal.timeout(TIMEOUT_MS), ...(body ? { body } : {}) });

  return {
    async send(text) {
      const form = new URLSearchParams({ To: text.to, From: options.from, Body: text.body });
      if (options.callbackUrl) form.set('StatusCallback', callbackUrl(options.callbackUrl, text));
      try {
        const response = await call(messages, form);
        const body = (await response.json().catch(() => ({}))) as { sid?: string; code?: number; message?: string };
        if (!response.ok) return twilioOutcome(response.status, body, retryAfterMs(response));
        return body.sid ? { type: 'sent', providerMessageId: body.sid } : callOutcome('Twilio', 0, 'the answer could not be read');
      } catch (error) {
        return callOutcome('Twilio', neverConnected(error) ? 503 : 0, (error as Error).message);
      }
    },
    async find(to, bodies, since) {
      // Not filtered by the date of sending: what is still queued has none.
      const query = new URLSearchParams({ To: to, PageSize: String(LOOK_UP_PAGE) });
      const response = await call(`${messages}?${query}`);
      if (!response.ok) throw new Error(`Twilio answered a look-up with ${response.status}`);
      const page = (await response.json()) as { messages: { sid: string; body: string; to: string; date_created: string }[] };
      const earliest = since.getTime() - CLOCK_SKEW_MS;
      return page.messages.find((message) => message.to === to && bodies.includes(message.body) && Date.parse(message.date_created) >= earliest)?.sid;
    },
  };
}

function callbackUrl(base: string, { orderId, kind, notificationId }: OutgoingText): string {
  const url = new URL(base);
  for (const [key, value] of [['order_id', orderId], ['kind', kind], ['notification_id', notificationId]] as const) url.searchParams.set(key, value);
  return url.href;
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
}

/** Whether Twilio signed this callback: HMAC-SHA1 over the URL as it was given to Twilio, and the form's fields in order of their names. */
export function signedByTwilio(authToken: string, url: string, form: URLSearchParams, signature: string | null): boolean {
  const fields = [...form].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const expected = createHmac('sha1', authToken).update(url + fields.map(([key, value]) => key + value).join('')).digest();
  const given = Buffer.from(signature ?? '', 'base64');
  return given.length === expected.length && timingSafeEqual(given, expected);
}
