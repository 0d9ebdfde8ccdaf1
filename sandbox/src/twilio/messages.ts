// Checks one text message as Twilio does, and shows messages in Twilio's shape.
import type { TextMessage } from '../store/records.ts';
import { TwilioRefusal, unsubscribed } from './errors.ts';

const MAX_BODY_CHARACTERS = 1600;
const E164 = /^\+[1-9]\d{6,14}$/;

/** Twilio's magic numbers (twilio.com/docs/iam/test-credentials). */
const REFUSED_TO: Record<string, (to: string) => TwilioRefusal> = {
  '+15005550001': invalidTo,
  '+15005550002': (to) => new TwilioRefusal(400, 21612, `The 'To' phone number: ${to}, is not currently reachable using the 'From' phone number via SMS.`),
  '+15005550003': (to) => new TwilioRefusal(400, 21408, `Permission to send an SMS has not been enabled for the region indicated by the 'To' number: ${to}`),
  '+15005550004': unsubscribed,
  '+15005550009': (to) => new TwilioRefusal(400, 21614, `'To' number: ${to}, is not a valid mobile number`),
};
const REFUSED_FROM: Record<string, TwilioRefusal> = {
  '+15005550001': new TwilioRefusal(400, 21212, "The 'From' number +15005550001 is not a valid phone number, shortcode, or alphanumeric sender ID."),
  '+15005550007': new TwilioRefusal(400, 21606, "The 'From' phone number provided (+15005550007) is not a valid, SMS-capable inbound phone number for your account."),
  '+15005550008': new TwilioRefusal(429, 21611, "This 'From' number has exceeded the maximum number of queued messages"),
};
/** The sandbox's own: accepted, and later reported as undelivered with this code (unreachable handset). */
const UNDELIVERED_TO = '+15005550404';
const UNREACHABLE = 30003;

export interface Accepting {
  at: number;
  newId(): string;
  defaultCallback: string | undefined;
  decline: boolean;
}

export function acceptMessage(params: URLSearchParams, accepting: Accepting): TextMessage {
  const to = params.get('To') ?? '';
  const from = params.get('From') ?? params.get('MessagingServiceSid') ?? '';
  const body = params.get('Body') ?? '';
  if (to === '') throw new TwilioRefusal(400, 21604, "A 'To' phone number is required.");
  if (from === '') throw new TwilioRefusal(400, 21603, "A 'From' phone number is required.");
  if (body === '') throw new TwilioRefusal(400, 21602, 'Message body is required.');
  if (body.length > MAX_BODY_CHARACTERS) throw new TwilioRefusal(400, 21617, `The concatenated message body exceeds the ${MAX_BODY_CHARACTERS} character limit`);
  if (!E164.test(to)) throw invalidTo(to);
  const refusal = REFUSED_FROM[from] ?? REFUSED_TO[to]?.(to);
  if (refusal) throw refusal;
  if (accepting.decline) throw unsubscribed();
  const callback = params.get('StatusCallback') || accepting.defaultCallback;
  if (callback !== undefined && !(URL.canParse(callback) && /^https?:/.test(callback))) {
    throw new TwilioRefusal(400, 21609, `The 'StatusCallback' URL ${callback.slice(0, 100)} is not a valid URL.`);
  }
  const hints = callback === undefined ? undefined : new URL(callback).searchParams; // Twilio has no metadata
  const undelivered = to === UNDELIVERED_TO;
  return {
    id: accepting.newId(),
    at: accepting.at, from, to, body, callback,
    status: undelivered ? 'undelivered' : 'delivered',
    ...(undelivered && { errorCode: UNREACHABLE }),
    order_id: hints?.get('order_id') ?? null,
    kind: hints?.get('kind') ?? null,
  };
}

export function renderMessage(text: TextMessage, accountSid: string, status: string = text.status): object {
  const time = new Date(text.at).toUTCString().replace('GMT', '+0000');
  const uri = `/2010-04-01/Accounts/${accountSid}/Messages/${text.id}`;
  return {
    account_sid: accountSid,
    api_version: '2010-04-01',
    body: text.body,
    date_created: time,
    date_sent: status === 'queued' ? null : time,
    date_updated: time,
    direction: 'outbound-api',
    error_code: text.errorCode && status === text.status ? text.errorCode : null,
    error_message: text.errorCode && status === text.status ? 'Unreachable destination handset' : null,
    from: text.from,
    messaging_service_sid: null,
    num_media: '0',
    num_segments: String(Math.ceil(text.body.length / 160)),
    price: null,
    price_unit: 'USD',
    sid: text.id,
    status,
    subresource_uris: { media: `${uri}/Media.json` },
    to: text.to,
    uri: `${uri}.json`,
  };
}

function invalidTo(to: string): TwilioRefusal {
  return new TwilioRefusal(400, 21211, `The 'To' number ${to.slice(0, 50)} is not a valid phone number.`);
}
