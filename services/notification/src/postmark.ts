// Postmark through its official SDK: many mails in a call, and the look-up of a mail whose sending had no answer.

import { type Errors, type Message, Models, ServerClient } from 'postmark';
import type { Outcome } from './notification.ts';
import { callOutcome, neverConnected, postmarkOutcome } from './provider-errors.ts';

/** Postmark's own limit. */
const MAX_BATCH = 500;
/** Postmark takes 50 MB; less than a megabyte also gets through a slow line well within the timeout. */
const MAX_BATCH_CHARS = 700_000;
/** Every field beside the bodies, and what escaping adds. */
const OVERHEAD = 1.1;
/** A batch takes Postmark about a second; the lease of the rows must outlast this. */
const TIMEOUT_S = 10;

export type OutgoingMail = { notificationId: string; orderId: string; kind: string; to: string; subject: string; html: string; text: string };

export type Postmark = {
  /** One call; see `batchesOf`. One outcome per mail, in order; never throws. */
  send(mails: OutgoingMail[]): Promise<Outcome[]>;
  /** The provider's id of the mail, if it took one; throws when it can't be asked. */
  find(notificationId: string): Promise<string | undefined>;
};

export function createPostmark(options: { token: string; apiBase: string; from: string; fetch?: typeof fetch }): Postmark {
  const { protocol, host, pathname } = new URL(options.apiBase);
  const client = new ServerClient(options.token, {
    useHttps: protocol === 'https:',
    requestHost: `${host}${pathname}`.replace(/\/$/, ''),
    timeout: TIMEOUT_S,
    fetch: tellingFetch(options.fetch ?? fetch),
  });

  return {
    async send(mails) {
      try {
        const answers: unknown = await client.sendEmailBatch(mails.map((mail) => messageOf(mail, options.from)));
        // A proxy's page or a truncated body: perhaps everything was taken.
        if (!Array.isArray(answers) || answers.length !== mails.length) return mails.map(() => callOutcome('Postmark', 0, 'the answer could not be read'));
        return (answers as Models.MessageSendingResponse[]).map(postmarkOutcome);
      } catch (error) {
        const { statusCode, message } = error as Errors.PostmarkError;
        return mails.map(() => callOutcome('Postmark', statusCode ?? 0, message));
      }
    },
    async find(notificationId) {
      const filter = Object.assign(new Models.OutboundMessagesFilteringParameters(1, 0), { metadata_notification_id: notificationId });
      const { Messages } = await client.getOutboundMessages(filter);
      const found = Messages[0];
      // A server that doesn't know the filter would answer anybody's mail.
      if (found && found.Metadata?.notification_id !== notificationId) throw new Error('Postmark answered another mail than the one asked for');
      return found?.MessageID;
    },
  };
}

/** As many mails together as one call takes. */
export function batchesOf<M extends Pick<OutgoingMail, 'html' | 'text'>>(mails: M[]): M[][] {
  const batches: M[][] = [];
  let room = 0;
  for (const mail of mails) {
    const size = (mail.html.length + mail.text.length) * OVERHEAD;
    const last = batches.at(-1);
    if (last && size <= room && last.length < MAX_BATCH) last.push(mail);
    else batches.push([mail]);
    room = (last === batches.at(-1) ? room : MAX_BATCH_CHARS) - size;
  }
  return batches;
}

function messageOf(mail: OutgoingMail, from: string): Message {
  return {
    From: from,
    To: mail.to,
    Subject: mail.subject,
    HtmlBody: mail.html,
    TextBody: mail.text,
    Tag: mail.kind,
    Metadata: { order_id: mail.orderId, kind: mail.kind, notification_id: mail.notificationId },
  };
}

/** The SDK keeps only an error's message. That a connection never stood must not get lost: then surely nothing was sent, as after a 503. */
function tellingFetch(send: typeof fetch): typeof fetch {
  return (input, init) =>
    send(input, inBytes(init)).catch((error: unknown) => {
      if (neverConnected(error)) return Response.json({ ErrorCode: 0, Message: 'not reachable' }, { status: 503 });
      throw error;
    });
}

/** A body of a megabyte as text would lie in the heap until Postmark has answered, and outlive the young generation: bytes are kept outside. */
function inBytes(init: RequestInit | undefined): RequestInit | undefined {
  return typeof init?.body === 'string' ? { ...init, body: Buffer.from(init.body) } : init;
}
