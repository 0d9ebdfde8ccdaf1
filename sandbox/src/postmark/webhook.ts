// Postmark's webhooks, Delivery and Bounce. Postmark signs nothing: its users put a basic-auth password into the URL.
import type { Mail } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { WebhookRequest, WebhookSource } from '../webhooks/source.ts';

export const WEBHOOK_USER = 'postmark';

export function createPostmarkWebhooks(store: Store, { url, secret }: { url: string | undefined; secret: string }): WebhookSource {
  const post = (mail: Mail, password: string | undefined): WebhookRequest | undefined =>
    url === undefined
      ? undefined
      : {
          url,
          headers: {
            'content-type': 'application/json',
            'user-agent': 'Postmark',
            ...(password !== undefined && { authorization: `Basic ${Buffer.from(`${WEBHOOK_USER}:${password}`).toString('base64')}` }),
          },
          body: JSON.stringify(mail.bounce ? bounce(mail, store.mails.numberOf(mail.id) + 1) : delivery(mail)),
        };
  return {
    build(hook) {
      const mail = store.mails.get(hook);
      return mail && post(mail, secret);
    },
    forge(hook, variant) {
      const mail = store.mails.get(hook);
      // A forger reports a bounce of a message that arrived, and the reverse.
      const lie: Mail | undefined = mail && { ...mail, bounce: mail.bounce ? undefined : 'HardBounce' };
      return lie && post(lie, variant % 2 === 0 ? `${secret}x` : undefined);
    },
    isFinal: (status) => status === 403, // as Postmark documents it
  };
}

function delivery(mail: Mail): object {
  return {
    RecordType: 'Delivery',
    ServerID: 1,
    MessageStream: mail.stream,
    MessageID: mail.id,
    Recipient: mail.recipients[0],
    Tag: mail.tag ?? '',
    DeliveredAt: new Date(mail.at).toISOString(),
    Details: 'smtp;250 2.0.0 OK',
    Metadata: mail.metadata,
  };
}

function bounce(mail: Mail, id: number): object {
  const hard = mail.bounce === 'HardBounce';
  return {
    RecordType: 'Bounce',
    ID: id,
    Type: mail.bounce,
    TypeCode: hard ? 1 : 4096,
    Name: hard ? 'Hard bounce' : 'Soft bounce',
    Tag: mail.tag ?? '',
    MessageID: mail.id,
    ServerID: 1,
    MessageStream: mail.stream,
    Description: hard
      ? 'The server was unable to deliver your message (ex: unknown user, mailbox not found).'
      : 'Unable to temporarily deliver message (i.e. mailbox full, account disabled, exceeds quota, out of disk space).',
    Details: hard ? 'smtp;550 5.1.1 The email account that you tried to reach does not exist' : 'smtp;452 4.2.2 The mailbox is full',
    Email: mail.recipients[0],
    From: mail.from,
    BouncedAt: new Date(mail.at).toISOString(),
    DumpAvailable: false,
    Inactive: hard,
    CanActivate: true,
    Subject: mail.subject,
    Metadata: mail.metadata,
  };
}
