// Twilio's status callbacks. Which message it is stands in the query that we gave with it, and the signature covers that.

import type { HttpHandler, HttpResponse } from '@millrace/chassis/server/server';
import type { Fact } from './notification.ts';
import type { Report } from './settle.ts';
import { signedByTwilio } from './twilio.ts';

export function takeTwilioWebhook(options: { authToken: string; callbackUrl: string | undefined }, report: (report: Report) => Promise<void>): HttpHandler {
  return async ({ method, url, headers, body }): Promise<HttpResponse> => {
    if (method !== 'POST') return { status: 405, headers: { allow: 'POST' } };
    const search = url.includes('?') ? url.slice(url.indexOf('?')) : '';
    const form = new URLSearchParams(Buffer.from(body).toString('utf8'));
    // Twilio signs the URL that it was given; what arrives here has another host, behind the edge.
    if (!options.callbackUrl || !signedByTwilio(options.authToken, signedUrl(options.callbackUrl, search), form, headers.get('x-twilio-signature'))) return { status: 403 };
    const notificationId = new URLSearchParams(search).get('notification_id');
    const fact = factOf(form);
    if (notificationId && fact) await report({ notificationId, fact });
    return { status: 204 };
  };
}

function signedUrl(base: string, search: string): string {
  const { origin, pathname } = new URL(base);
  return origin + pathname + search;
}

function factOf(form: URLSearchParams): Fact | undefined {
  const providerMessageId = form.get('MessageSid') ?? '';
  const status = form.get('MessageStatus') ?? '';
  const errorCode = form.get('ErrorCode') ?? '';
  if (providerMessageId === '') return undefined;
  if (status === 'sent') return { type: 'sent', providerMessageId };
  if (status === 'delivered' || status === 'read') return { type: 'delivered', providerMessageId };
  if (status === 'undelivered' || status === 'failed') return { type: 'bounced', providerMessageId, bounceType: `${status} ${errorCode}`.trim() };
  return undefined;
}
