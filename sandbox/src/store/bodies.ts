// The texts of mails, deflated, in a file of their own: they are ten times the rest, nobody changes them, and a start
// need not read them. Unpacked they would keep the disk busy that the database under test needs.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { writeWhole } from './journal.ts';

const BODIES_LIMIT = 32 * 2 ** 30; // bytes; some twenty million mails

/** Where a body lies, and how many bytes its two forms have when unpacked; null = the mail has no such form. */
export interface BodyPlace {
  at: number;
  size: number;
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
  return {
    append(bodies) {
      const packed = bodies.map(({ html, text }) => deflateRawSync((html ?? '') + (text ?? ''), { level: 1 }));
      const bytes = Buffer.concat(packed);
      if (size + bytes.length > BODIES_LIMIT) throw new Error(`the sandbox has no room for more mails (${BODIES_LIMIT} bytes): stop it and remove its folder`);
      writeWhole(fd, bytes, size);
      return bodies.map((body, i) => {
        const place: BodyPlace = { at: size, size: (packed[i] as Buffer).length, html: lengthOf(body.html), text: lengthOf(body.text) };
        size += place.size;
        return place;
      });
    },
    read({ at, size: length, html, text }) {
      const packed = Buffer.alloc(length);
      readSync(fd, packed, 0, length, at);
      const bytes = inflateRawSync(packed);
      return {
        html: html === null ? null : bytes.toString('utf8', 0, html),
        text: text === null ? null : bytes.toString('utf8', html ?? 0),
      };
    },
    close: () => closeSync(fd),
  };
}

const lengthOf = (form: string | null) => (form === null ? null : Buffer.byteLength(form));
