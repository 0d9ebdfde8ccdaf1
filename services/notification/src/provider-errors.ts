// What the providers' answers mean: refused for good, not taken but worth another try, or perhaps taken. Imports only types.
// Codes: postmarkapp.com/developer/api/overview#error-codes, twilio.com/docs/api/errors.

import type { Outcome } from './notification.ts';

/** Messages that no repetition makes acceptable: invalid address or field, forbidden attachment, unusable sender for this recipient. */
const POSTMARK_PERMANENT = [300, 403, 411];
/** The address is on Postmark's suppression list. */
const POSTMARK_INACTIVE = 406;
/** The recipient answered STOP. */
const TWILIO_OPTED_OUT = 21610;

/** One message of a batch that Postmark answered. */
export function postmarkOutcome(answer: { ErrorCode: number; Message: string; MessageID?: string }): Outcome {
  const error = `Postmark ${answer.ErrorCode}: ${answer.Message}`;
  if (answer.ErrorCode === 0) return answer.MessageID ? { type: 'sent', providerMessageId: answer.MessageID } : { type: 'unknown', error: 'Postmark named no message id', answered: true };
  if (answer.ErrorCode === POSTMARK_INACTIVE) return { type: 'suppressed', error };
  return POSTMARK_PERMANENT.includes(answer.ErrorCode) ? { type: 'failed', error } : { type: 'delayed', error };
}

/** A whole call without a usable answer. `status` 0: no answer at all. */
export function callOutcome(provider: string, status: number, message: string): Outcome {
  const error = `${provider} ${status || 'without answer'}: ${message}`;
  // 503 and everything of the 400s come before a message is taken; 500, 502 and 504 may come after.
  const refused = status === 503 || (status >= 400 && status < 500 && status !== 408);
  return refused ? { type: 'delayed', error } : { type: 'unknown', error, answered: status >= 500 };
}

/** Twilio's refusal of a message: what is wrong with the message is final, what is wrong with the account or the moment is not. */
export function twilioOutcome(status: number, body: { code?: number; message?: string }, retryAfterMs?: number): Outcome {
  const error = `Twilio ${body.code ?? status}: ${body.message ?? 'no message'}`;
  if (body.code === TWILIO_OPTED_OUT) return { type: 'suppressed', error };
  if (status === 400 || status === 422) return { type: 'failed', error };
  const outcome = callOutcome('Twilio', status, body.message ?? 'no message');
  return outcome.type === 'delayed' && retryAfterMs !== undefined ? { ...outcome, pauseMs: retryAfterMs } : outcome;
}

/** Errors of a connection that never stood: nothing can have been sent. */
export function neverConnected(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(code);
}

/** Reports of Postmark's bounce hook that mean "it did not arrive"; the others are auto-replies, address changes and the like. */
const POSTMARK_CAME_BACK = ['HardBounce', 'SoftBounce', 'DnsError', 'SpamNotification', 'SpamComplaint', 'BadEmailAddress', 'ManuallyDeactivated', 'Blocked', 'VirusNotification', 'SMTPApiError', 'DMARCPolicy', 'Unknown'];

export function cameBack(bounceType: string): boolean {
  return POSTMARK_CAME_BACK.includes(bounceType);
}
