// Records of one kind, by number: where the newest line of each lies in the journal, and when it was created.
import type { IdFormat } from './ids.ts';
import type { Line } from './records.ts';

export interface Table<T extends { id: string }> {
  count(): number;
  newId(): string;
  /** Takes back ids whose line could not be written. */
  forgetUnwritten(): void;
  put(id: string, offset: number, created: number): boolean;
  numberOf(id: string): number;
  get(id: string): T | undefined;
  at(number: number): T | undefined;
  line(number: number): Line | undefined;
  offset(number: number): number;
  created(number: number): number;
}

export function createTable<T extends { id: string }>(ids: IdFormat, pick: (line: Line) => T[], read: (offset: number) => Line): Table<T> {
  const offsets: number[] = [];
  const createds: number[] = [];
  let issued = 0;

  const line = (number: number): Line | undefined => {
    const offset = offsets[number];
    return offset === undefined || offset < 0 ? undefined : read(offset);
  };
  const at = (number: number): T | undefined => {
    const found = line(number);
    return found && pick(found).find((record) => ids.parse(record.id) === number);
  };
  return {
    count: () => offsets.length,
    newId: () => ids.make(issued++),
    forgetUnwritten: () => void (issued = offsets.length),
    /** True when the record is new. */
    put(id, offset, created) {
      const number = ids.parse(id);
      // A compacted journal may hold an old record's newest line behind a newer record's: leave room.
      while (offsets.length <= number) {
        offsets.push(-1);
        createds.push(createds.at(-1) ?? 0);
      }
      const isNew = offsets[number] === -1;
      offsets[number] = offset;
      createds[number] = created;
      if (issued < offsets.length) issued = offsets.length;
      return isNew;
    },
    numberOf: (id) => ids.parse(id),
    get(id) {
      const number = ids.parse(id);
      if (number < 0) return undefined;
      const record = at(number);
      return record?.id === id ? record : undefined;
    },
    at,
    line,
    offset: (number) => offsets[number] ?? -1,
    created: (number) => createds[number] ?? 0,
  };
}

const SHORT_LIST = 64; // only short lists are searched for repeats; the long ones belong to mails, which come once

/** Many numbers under one text; a lone number is kept without an array around it. */
export interface Multi {
  add(key: string, number: number): void;
  get(key: string): readonly number[];
}

export function createMulti(): Multi {
  const map = new Map<string, number | number[]>();
  return {
    add(key, number) {
      const known = map.get(key);
      if (known === undefined) map.set(key, number);
      else if (typeof known === 'number') {
        if (known !== number) map.set(key, [known, number]);
      } else if (known.length > SHORT_LIST || !known.includes(number)) known.push(number);
    },
    get(key) {
      const known = map.get(key);
      return known === undefined ? [] : typeof known === 'number' ? [known] : known;
    },
  };
}
