// The texts of mails, in a file of their own: they are ten times the rest, nobody changes them, and a start need not read them.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { writeWhole } from './journal.ts';

const BODIES_LIMIT = 32 * 2 ** 30; // bytes; a few million mails

/** Where a body lies, and how many bytes its two forms have; null = the mail has no such form. */
export interface BodyPlace {
  at: number;
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
      const parts = bodies.map(({ html, text }) => [html, text].map((form) => (form === null ? null : Buffer.from(form))));
      const bytes = Buffer.concat(parts.flat().filter((part) => part !== null));
      if (size + bytes.length > BODIES_LIMIT) throw new Error(`the sandbox has no room for more mails (${BODIES_LIMIT} bytes): stop it and remove its folder`);
      writeWhole(fd, bytes, size);
      return parts.map(([html, text]) => {
        const place: BodyPlace = { at: size, html: html?.length ?? null, text: text?.length ?? null };
        size += (place.html ?? 0) + (place.text ?? 0);
        return place;
      });
    },
    read({ at, html, text }) {
      const bytes = Buffer.alloc((html ?? 0) + (text ?? 0));
      readSync(fd, bytes, 0, bytes.length, at);
      return {
        html: html === null ? null : bytes.toString('utf8', 0, html),
        text: text === null ? null : bytes.toString('utf8', html ?? 0),
      };
    },
    close: () => closeSync(fd),
  };
}
