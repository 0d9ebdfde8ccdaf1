// Postmark's errors: { ErrorCode, Message } (postmarkapp.com/developer/api/overview#error-codes).
export class PostmarkRefusal extends Error {
  override name = 'PostmarkRefusal';
  readonly status: number;
  readonly code: number;
  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const invalidEmail = (message: string) => new PostmarkRefusal(422, 300, message);

export const inactive = (addresses: string[]) =>
  new PostmarkRefusal(422, 406, `You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: ${addresses.join(', ')}. Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a manual suppression.`);

export function faultRefusal(status: number): PostmarkRefusal {
  if (status === 429) return new PostmarkRefusal(429, 429, 'Rate limit exceeded. Too many requests.');
  if (status === 422) return invalidEmail('Invalid request (a fault of the sandbox).');
  if (status < 500) return new PostmarkRefusal(status, status, `The request was refused (a fault of the sandbox, status ${status}).`);
  return new PostmarkRefusal(status, 500, 'Internal Server Error');
}
