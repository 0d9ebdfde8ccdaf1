// Twilio's status callbacks: a form, signed with X-Twilio-Signature over the URL and the sorted parameters.
import { createHmac } from 'node:crypto';
import type { Store } from '../store/store.ts';
import type { WebhookRequest, WebhookSource } from '../webhooks/source.ts';

export function createTwilioWebhooks(store: Store, { accountSid, authToken }: { accountSid: string; authToken: string }): WebhookSource {
  const request = (hook: string, tokens: { signWith: string } | undefined, lie = false): WebhookRequest | undefined => {
    const [sid = '', told = ''] = hook.split(':');
    const text = store.texts.get(sid);
    if (!text?.callback) return undefined;
    const status = lie ? 'failed' : told;
    const params: Record<string, string> = {
      AccountSid: accountSid,
      ApiVersion: '2010-04-01',
      From: text.from,
      MessageSid: text.id,
      MessageStatus: status,
      SmsSid: text.id,
      SmsStatus: status,
      To: text.to,
      ...(text.errorCode !== undefined && status !== 'sent' && { ErrorCode: String(text.errorCode) }),
    };
    return {
      url: text.callback,
      headers: {
        'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
        'user-agent': 'TwilioProxy/1.1',
        ...(tokens && { 'x-twilio-signature': signTwilio(tokens.signWith, text.callback, params) }),
      },
      body: new URLSearchParams(params).toString(),
    };
  };
  return {
    build: (hook) => request(hook, { signWith: authToken }),
    forge: (hook, variant) => request(hook, variant % 2 === 0 ? { signWith: `${authToken}x` } : undefined, true),
    isFinal: () => false,
  };
}

export function signTwilio(authToken: string, url: string, params: Record<string, string>): string {
  const text = Object.keys(params).sort().reduce((signed, name) => signed + name + params[name], url);
  return createHmac('sha1', authToken).update(text).digest('base64');
}
