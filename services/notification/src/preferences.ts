// What a customer wants to be told. Who never said anything wants everything.

import type { Caller } from '@millrace/chassis/api/auth';
import { type Queryable, sql, type Tx } from '@millrace/chassis/database/db';

export type Preferences = { customerId: string; emailEnabled: boolean; smsEnabled: boolean; locale: string };

const DEFAULT_LOCALE = 'en';

/** A buyer who asks for somebody else's preferences learns nothing, not even that there is such a customer. */
export class CustomerNotFoundError extends Error {
  readonly reason = 'NOT_FOUND';
  constructor() {
    super('there is no such customer');
  }
}

export async function getPreferences(on: Queryable, caller: Caller, customerId: string): Promise<Preferences> {
  checkOwner(caller, customerId);
  const [row] = await on.query<{ email_enabled: boolean; sms_enabled: boolean; locale: string }>(sql`SELECT email_enabled, sms_enabled, locale FROM preferences WHERE customer_id = ${customerId}`);
  return { customerId, emailEnabled: row?.email_enabled ?? true, smsEnabled: row?.sms_enabled ?? true, locale: row?.locale ?? DEFAULT_LOCALE };
}

export async function setPreferences(tx: Tx, caller: Caller, wanted: Preferences): Promise<Preferences> {
  checkOwner(caller, wanted.customerId);
  const stored = { ...wanted, locale: wanted.locale || DEFAULT_LOCALE };
  await tx.query(sql`
    INSERT INTO preferences (customer_id, email_enabled, sms_enabled, locale) VALUES (${stored.customerId}, ${stored.emailEnabled}, ${stored.smsEnabled}, ${stored.locale})
    ON CONFLICT (customer_id) DO UPDATE SET email_enabled = excluded.email_enabled, sms_enabled = excluded.sms_enabled, locale = excluded.locale, update_time = now()`);
  return stored;
}

function checkOwner(caller: Caller, customerId: string): void {
  if (caller.role === 'buyer' && caller.subject !== customerId) throw new CustomerNotFoundError();
}
