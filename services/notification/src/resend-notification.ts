// Sends a message once more, on purpose: a message of its own, under a key of its own.

import { sql, type Tx } from '@millrace/chassis/database/db';
import { NotificationNotFoundError, type NotificationView } from './list-notifications.ts';
import { type Kind, KINDS, type State } from './notification.ts';
import { idOf } from './store.ts';

export class StillToBeSentError extends Error {
  readonly reason = 'ILLEGAL_TRANSITION';
  readonly metadata: Record<string, string>;
  constructor(state: State) {
    super('this message has not been sent yet; it will be');
    this.metadata = { state: `NOTIFICATION_STATE_${state.toUpperCase()}` };
  }
}

/** Answers the new message. The buyer's address is looked up afresh; an admin's stays. */
export async function resendNotification(tx: Tx, notificationId: string, request: { subject: string; requestId: string }): Promise<NotificationView> {
  const [original] = await tx.query<{ orderId: string; kind: Kind; state: State }>(sql`SELECT order_id AS "orderId", kind, state FROM notification WHERE notification_id = ${notificationId}`);
  if (!original) throw new NotificationNotFoundError();
  if (original.state === 'pending') throw new StillToBeSentError(original.state);
  const idempotencyKey = `resend:${notificationId}:${request.subject}:${request.requestId}`;
  const toAdmins = KINDS[original.kind].to === 'admins';
  // A request id that is older than the memory of requests meets the message it made then.
  const [copy] = await tx.query<NotificationView>(sql`
    WITH copy AS (
      INSERT INTO notification AS n (notification_id, idempotency_key, order_id, kind, channel, recipient, details)
      SELECT ${idOf(idempotencyKey, original.orderId)}, ${idempotencyKey}, order_id, kind, channel, CASE WHEN ${toAdmins}::bool THEN recipient ELSE '' END, details
      FROM notification WHERE notification_id = ${notificationId} ON CONFLICT (notification_id) DO UPDATE SET idempotency_key = n.idempotency_key
      RETURNING *
    ), queued AS (INSERT INTO send_queue (notification_id, channel) SELECT notification_id, channel FROM copy WHERE state = 'pending' ON CONFLICT DO NOTHING)
    SELECT notification_id AS "notificationId", order_id AS "orderId", kind, channel, recipient, subject, state, attempts, provider_message_id AS "providerMessageId",
      last_error AS "lastError", create_time AS "createTime", send_time AS "sendTime" FROM copy`);
  if (!copy) throw new NotificationNotFoundError();
  return copy;
}
