// The environment of the notification service.

import { type Env, readConfig, serviceConfig, url } from '@millrace/chassis/config';
import { z } from 'zod';

const address = z.email('expected a mail address');
/** "Shop <orders@shop.example>" or a bare address. */
const from = z.string().refine((text) => address.safeParse(/<([^<>]+)>$/.exec(text)?.[1] ?? text).success && !/[\r\n]/.test(text), 'expected a mail address, or: Shop Name <orders@shop.example>');
const addresses = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()).filter(Boolean))
  .pipe(z.array(address));

const shape = {
  ...serviceConfig,
  POSTMARK_SERVER_TOKEN: z.string(),
  POSTMARK_API_BASE: url.default('https://api.postmarkapp.com'),
  POSTMARK_WEBHOOK_SECRET: z.string(),
  MAIL_FROM: from,
  /** Comma separated; without any, nobody gets alerts. */
  ADMIN_EMAILS: addresses.default([]),
  TWILIO_ACCOUNT_SID: z.string(),
  TWILIO_AUTH_TOKEN: z.string(),
  TWILIO_FROM: z.string(),
  TWILIO_API_BASE: url.default('https://api.twilio.com'),
  /** Where Twilio reports deliveries; without it there are no reports. */
  TWILIO_WEBHOOK_URL: url.optional(),
};

export type NotificationConfig = ReturnType<typeof readNotificationConfig>;

export function readNotificationConfig(env: Env) {
  return readConfig('notification', shape, env);
}

/** What mails call the shop: the display name of the sender. */
export function shopName(mailFrom: string): string {
  return /^\s*"?([^"<]*?)"?\s*</.exec(mailFrom)?.[1] || 'Millrace';
}
