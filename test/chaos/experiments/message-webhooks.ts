// Forged reports about mails and text messages.
import { createHmac } from 'node:crypto';

/** `ignored`: well authenticated and taken, but without effect. */
export type Post = { name: string; path: string; headers: Record<string, string>; body: string; ignored?: boolean };

export function postmarkForgeries(secret: string, notificationId: string): Post[] {
  const bounce = (metadata: object = { notification_id: notificationId }): string => JSON.stringify({ RecordType: 'Bounce', Type: 'HardBounce', MessageID: crypto.randomUUID(), Metadata: metadata });
  const post = (name: string, authorization: string | undefined, body = bounce(), ignored = false): Post => ({
    name: `Postmark: ${name}`, path: '/webhooks/postmark', body, ignored, headers: { 'content-type': 'application/json', ...(authorization !== undefined && { authorization }) },
  });
  const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const right = basic('postmark', secret);
  return [
    post('nobody', undefined), post('an empty password', basic('postmark', '')), post('another password', basic('postmark', `${secret}x`)), post('half of the password', basic('postmark', secret.slice(0, -1))), post('another user', basic('admin', secret)),
    post('another scheme', right.replace('Basic', 'Bearer')), post('the secret as it is', secret), post('not encoded', `Basic postmark:${secret}`),
    post('no JSON', right, 'Bounce'), post('a list', right, '[]'), post('an object as message id', right, JSON.stringify({ RecordType: 'Bounce', MessageID: {} })),
    post('nobody\'s message', right, bounce({ notification_id: crypto.randomUUID() }), true), post('SQL as message', right, bounce({ notification_id: "' OR '1'='1" }), true), post('no message', right, bounce({}), true),
  ];
}

export function twilioForgeries(token: string, callback: string, notificationId: string): Post[] {
  const failed = { MessageSid: 'SM00000000000000000000000000000000', MessageStatus: 'failed', ErrorCode: '30005' };
  const query = (id = notificationId): string => `?notification_id=${id}`;
  const sign = (form: Record<string, string>, search: string, key = token): string => createHmac('sha1', key).update(Object.keys(form).sort().reduce((text, name) => text + name + form[name], `${callback}${search}`)).digest('base64');
  const post = (name: string, signature: string | undefined, { form = failed, search = query(), ignored = false }: { form?: Record<string, string>; search?: string; ignored?: boolean } = {}): Post => ({
    name: `Twilio: ${name}`, path: `/webhooks/twilio${search}`, body: new URLSearchParams(form).toString(), ignored,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...(signature !== undefined && { 'x-twilio-signature': signature }) },
  });
  const nobodys = query(crypto.randomUUID());
  return [
    post('no signature', undefined), post('an empty signature', ''), post('a signature of garbage', 'AAAA'), post('another token', sign(failed, query(), `${token}x`)), post('an empty token', sign(failed, query(), '')),
    post('another form', sign({ ...failed, MessageStatus: 'sent' }, query())), post('a field more', sign(failed, query()), { form: { ...failed, To: '+1' } }), post('a field less', sign({ ...failed, To: '+1' }, query())),
    post('another message in the address', sign(failed, nobodys)), post('the address without its query', sign(failed, '')), post('hexadecimal', Buffer.from(sign(failed, query()), 'base64').toString('hex')),
    post('nobody\'s message', sign(failed, nobodys), { search: nobodys, ignored: true }), post('a status of tomorrow', sign({ ...failed, MessageStatus: 'teleported' }, query()), { form: { ...failed, MessageStatus: 'teleported' }, ignored: true }),
  ];
}
