// Postmark's reports of deliveries and bounces: in any order, any number of times, also before our own call was answered.
// Source: postmarkapp.com/developer/webhooks/webhooks-overview.

import { hash, timingSafeEqual } from 'node:crypto';
import { crashPoint } from '@millrace/chassis/crash-point';
import type { HttpHandler, HttpResponse } from '@millrace/chassis/server/server';
import { z } from 'zod';
import type { Fact } from './notification.ts';
import { cameBack } from './provider-errors.ts';
import type { Report } from './settle.ts';

const USER = 'postmark';

const record = z.object({
  RecordType: z.string(),
  MessageID: z.string().max(100),
  Type: z.string().max(100).optional(),
  Metadata: z.record(z.string(), z.string()).optional(),
});

export function takePostmarkWebhook(secret: string, report: (report: Report) => Promise<void>): HttpHandler {
  const expected = digest(`Basic ${Buffer.from(`${USER}:${secret}`).toString('base64')}`);
  return async ({ method, headers, body }): Promise<HttpResponse> => {
    if (method !== 'POST') return { status: 405, headers: { allow: 'POST' } };
    if (!timingSafeEqual(digest(headers.get('authorization') ?? ''), expected)) return { status: 401, headers: { 'www-authenticate': 'Basic realm="webhooks"' } };
    const parsed = record.safeParse(parseJson(body));
    if (!parsed.success) return { status: 400, body: 'this is no Postmark webhook' };
    const notificationId = parsed.data.Metadata?.notification_id;
    const fact = factOf(parsed.data);
    // Other mail of the same Postmark server, or a kind of report that changes nothing, is well received all the same.
    if (notificationId && fact) await report({ notificationId, fact });
    crashPoint('webhook.reported');
    return { status: 200 };
  };
}

function factOf({ RecordType, MessageID: providerMessageId, Type: bounceType = RecordType }: z.output<typeof record>): Fact | undefined {
  if (RecordType === 'Delivery') return { type: 'delivered', providerMessageId };
  if ((RecordType === 'Bounce' || RecordType === 'SpamComplaint') && cameBack(bounceType)) return { type: 'bounced', providerMessageId, bounceType };
  return undefined;
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Of one length, so that the comparison takes the same time for every guess. */
function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
