// Checks one message as Postmark does, and turns it into a record.
import type { Metadata } from '../store/records.ts';
import { bouncesHard, bouncesSoftly, type NewMail } from '../store/store.ts';
import { invalidEmail, inactive, PostmarkRefusal } from './errors.ts';

const MAX_RECIPIENTS = 50;
const MAX_METADATA = 10;
const MAX_METADATA_KEY = 20;
const MAX_METADATA_VALUE = 80;
const MAX_TAG = 1000;
const MAX_SUBJECT = 2000;
const ADDRESS = /^[a-z0-9!#$%&'`*+\-/=^_{}|~]+(?:\.[a-z0-9!#$%&'`*+\-/=^_{}|~]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const SUPPRESSED_DOMAIN = '@bounced.test'; // addresses that Postmark knows to be dead

export interface Accepting {
  at: number;
  newId(): string;
  inactive: ReadonlySet<string>;
  hooks: boolean;
  decline: boolean;
}

export function acceptEmail(message: unknown, accepting: Accepting): NewMail {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) throw new PostmarkRefusal(422, 403, 'The JSON you provided is incompatible: a message must be an object.');
  const fields = message as Record<string, unknown>;
  const field = (name: string, most?: number) => textField(fields, name, most);
  const from = field('From');
  if (!from || addressesOf(from).length !== 1) throw invalidEmail(`Invalid 'From' address: '${short(from)}'.`);
  const to = field('To') ?? '';
  const cc = field('Cc');
  const bcc = field('Bcc');
  const recipients = [...recipientsOf('To', to), ...recipientsOf('Cc', cc), ...recipientsOf('Bcc', bcc)];
  if (recipients.length === 0) throw invalidEmail('Zero recipients specified');
  if (recipients.length > MAX_RECIPIENTS) throw invalidEmail(`Maximum of ${MAX_RECIPIENTS} recipients allowed per email message.`);
  const html = field('HtmlBody') ?? null;
  const text = field('TextBody') ?? null;
  if (!html && !text) throw invalidEmail('Provide either email TextBody or HtmlBody or both.');
  const subject = field('Subject', MAX_SUBJECT) ?? '';
  if (/[\r\n]/.test(subject)) throw invalidEmail('Invalid Subject: line breaks are not allowed.');

  const dead = accepting.decline ? recipients : recipients.filter((address) => address.endsWith(SUPPRESSED_DOMAIN) || accepting.inactive.has(address));
  if (dead.length > 0) throw inactive(dead);
  const bounce = recipients.some(bouncesHard) ? 'HardBounce' : recipients.some(bouncesSoftly) ? 'SoftBounce' : undefined;
  return {
    at: accepting.at, from, to, cc, bcc, subject, recipients, bounce,
    body: { html, text },
    tag: field('Tag', MAX_TAG),
    stream: field('MessageStream') ?? 'outbound',
    metadata: metadataOf(fields['Metadata']),
    ...(accepting.hooks && { hook: true as const }),
    id: accepting.newId(),
  };
}

function textField(fields: Record<string, unknown>, name: string, most = Number.MAX_SAFE_INTEGER): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw new PostmarkRefusal(422, 403, `The JSON you provided is incompatible: ${name} must be a string.`);
  if (value.length > most) throw invalidEmail(`Invalid ${name}: at most ${most} characters are allowed.`);
  return value;
}

function recipientsOf(name: string, list: string | undefined): string[] {
  if (!list) return [];
  const addresses = addressesOf(list);
  if (addresses.length === 0) throw invalidEmail(`Invalid '${name}' address: '${short(list)}'.`);
  return addresses;
}

/** `"Shop, Ltd" <a@b.c>, d@e.f` → the bare addresses in lower case; none when any is malformed. */
export function addressesOf(list: string): string[] {
  if (/[\r\n]/.test(list)) return [];
  const addresses: string[] = [];
  for (const part of list.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []) {
    const entry = part.trim();
    const bare = entry.endsWith('>') ? entry.slice(entry.lastIndexOf('<') + 1, -1) : entry;
    if (bare.length > 254 || !ADDRESS.test(bare)) return [];
    addresses.push(bare.toLowerCase());
  }
  return addresses;
}

function metadataOf(value: unknown): Metadata {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new PostmarkRefusal(422, 403, 'The JSON you provided is incompatible: Metadata must be an object of strings.');
  const entries = Object.entries(value as Record<string, unknown>);
  if (entries.length > MAX_METADATA) throw invalidEmail(`Invalid metadata: at most ${MAX_METADATA} fields are allowed.`);
  return Object.fromEntries(
    entries.map(([key, text]) => {
      if (typeof text !== 'string') throw new PostmarkRefusal(422, 403, `The JSON you provided is incompatible: Metadata '${short(key)}' must be a string.`);
      if (key.length > MAX_METADATA_KEY) throw invalidEmail(`Invalid metadata: the name '${short(key)}' is longer than ${MAX_METADATA_KEY} characters.`);
      if (text.length > MAX_METADATA_VALUE) throw invalidEmail(`Invalid metadata: the value of '${key}' is longer than ${MAX_METADATA_VALUE} characters.`);
      return [key, text] as const;
    }),
  );
}

const short = (text: string | undefined) => (text ?? '').slice(0, 100);
