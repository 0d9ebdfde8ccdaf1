import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dataFolder } from '../../test/harness.ts';
import { type Body, openBodies } from './bodies.ts';

test('bodies come back as they were written, in any order and after a restart', () => {
  const path = join(dataFolder(), 'bodies');
  const forms = (i: number): Body => [{ html: `<p>ä${i}</p>`, text: `ä${i}` }, { html: null, text: `only ${i}` }, { html: `<b>${i}</b>`, text: null }, { html: '', text: '' }][i % 4] as Body;
  const written = Array.from({ length: 40 }, (_, i) => forms(i));
  const first = openBodies(path);
  const places = [...first.append(written.slice(0, 35)), ...first.append(written.slice(35, 36)), ...first.append(written.slice(36))];
  first.close();
  const second = openBodies(path);
  expect(places.map((place) => second.read(place))).toEqual(written);
  expect(places.toReversed().map((place) => second.read(place))).toEqual(written.toReversed());
  second.close();
});
