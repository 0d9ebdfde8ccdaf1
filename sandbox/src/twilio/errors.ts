// Twilio's errors: { code, message, more_info, status } (twilio.com/docs/api/errors).
export class TwilioRefusal extends Error {
  override name = 'TwilioRefusal';
  readonly status: number;
  readonly code: number;
  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const unsubscribed = () => new TwilioRefusal(400, 21610, 'Attempt to send to unsubscribed recipient');

export const notFound = (path: string) => new TwilioRefusal(404, 20404, `The requested resource ${path.slice(0, 200)} was not found`);

export function faultRefusal(status: number): TwilioRefusal {
  if (status === 429) return new TwilioRefusal(429, 20429, 'Too Many Requests');
  if (status === 503) return new TwilioRefusal(503, 20503, 'Service Unavailable');
  if (status < 500) return new TwilioRefusal(status, 20000 + status, `The request was refused (a fault of the sandbox, status ${status})`);
  return new TwilioRefusal(status, 20500, 'An internal server error has occurred');
}

export const errorBody = (refusal: TwilioRefusal) => ({
  code: refusal.code,
  message: refusal.message,
  more_info: `https://www.twilio.com/docs/errors/${refusal.code}`,
  status: refusal.status,
});
