// The texts of mails, deflated, in a file of their own: they are ten times the rest, nobody changes them, and a start
// need not read them. Unpacked they would keep the disk busy that the database under test needs.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { writeWhole } from './journal.ts';

const BODIES_LIMIT = 32 * 2 ** 30; // bytes; some hundred million mails
/** Mails packed together: alike as they are, each takes less than half the time and a tenth of the room. To read one is to unpack them all. */
const PACK = 16;

/** Which pack a body lies in, where in it, and how many bytes its two forms have; null = the mail has no such form. */
export interface BodyPlace {
  at: number;
  size: number;
  from?: number; // bytes into the unpacked pack; none in journals of an earlier version, which packed each mail by itself
  html: number | null;
  text: number | null;
}

export interface Body {
  html: string | null;
  text: string | null;
}

export interface Bodies {
  append(bodies: Body[]): BodyPlace[];
  read(place: BodyPlace): Body;
  close(): void;
}

export function openBodies(path: string): Bodies {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  let size = fstatSync(fd).size;
  let unpacked = { at: -1, bytes: Buffer.alloc(0) }; // the pack read last: a ledger reads its mails one after the other

  const unpack = ({ at, size: length }: BodyPlace): Buffer => {
    if (unpacked.at === at) return unpacked.bytes;
    const packed = Buffer.alloc(length);
    readSync(fd, packed, 0, length, at);
    unpacked = { at, bytes: inflateRawSync(packed) };
    return unpacked.bytes;
  };

  return {
    append(bodies) {
      const packs = Array.from({ length: Math.ceil(bodies.length / PACK) }, (_, i) => bodies.slice(i * PACK, (i + 1) * PACK));
      const packed = packs.map((pack) => deflateRawSync(pack.map(({ html, text }) => (html ?? '') + (text ?? '')).join(''), { level: 1 }));
      const bytes = Buffer.concat(packed);
      if (size + bytes.length > BODIES_LIMIT) throw new Error(`the sandbox has no room for more mails (${BODIES_LIMIT} bytes): stop it and remove its folder`);
      writeWhole(fd, bytes, size);
      return packs.flatMap((pack, i) => {
        const { length } = packed[i] as Buffer;
        const at = size;
        size += length;
        let end = 0;
        return pack.map((body): BodyPlace => {
          const [from, html, text] = [end, lengthOf(body.html), lengthOf(body.text)];
          end += (html ?? 0) + (text ?? 0);
          return { at, size: length, from, html, text };
        });
      });
    },
    read(place) {
      const { from = 0, html, text } = place;
      const bytes = unpack(place);
      const middle = from + (html ?? 0);
      return {
        html: html === null ? null : bytes.toString('utf8', from, middle),
        text: text === null ? null : bytes.toString('utf8', middle, middle + text),
      };
    },
    close: () => closeSync(fd),
  };
}

const lengthOf = (form: string | null) => (form === null ? null : Buffer.byteLength(form));
