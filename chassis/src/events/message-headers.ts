// A message's headers, written and read in one pass each. The NATS client compares every name with all others, in two spellings, when one is
// set and when one is read: that was a fifth of what hearing an event cost a service.

import type { JsMsg } from '@nats-io/jetstream';
import { MsgHdrsImpl } from '@nats-io/transport-node';

const VERSION = 'NATS/1.0';

/** Headers to publish with; unchecked, so for values that are known to have no line breaks. */
export class MessageHeaders extends MsgHdrsImpl {
  constructor(fields: Record<string, string>) {
    super();
    for (const name in fields) this.set(name, fields[name] as string);
  }
  override set(name: string, value: string): void {
    this.headers.set(name, [value]);
  }
  override encode(): Uint8Array {
    let text = `${VERSION}\r\n`;
    for (const [name, values] of this.headers) for (const value of values) text += `${name}: ${value}\r\n`;
    return Buffer.from(`${text}\r\n`);
  }
}

/** What a message came with; of a header that stands twice the first. */
export function headersOf(message: JsMsg): Record<string, string> {
  // Without a prototype: a header may be named as one of its members.
  const headers = Object.create(null) as Record<string, string>;
  for (const line of headerLines(message)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon)] ??= line.slice(colon + 1).trim();
  }
  return headers;
}

/** The client keeps a message as it came, headers first, and says so in its types, but not in its documentation. */
type Kept = { msg: { _rdata: Uint8Array; _msg: { hdr: number } } };

function headerLines(message: JsMsg): string[] {
  const { _rdata: bytes, _msg: { hdr: length } } = (message as unknown as Kept).msg;
  return length > 0 ? Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('utf8').split('\r\n').slice(1) : [];
}
