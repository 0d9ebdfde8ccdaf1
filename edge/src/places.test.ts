import { expect, test } from 'vitest';
import { createPlaces } from './places.ts';

test('one more than there is room for is refused, until a place is given back', () => {
  const places = createPlaces(2);
  const first = places.take('ann');
  places.take('bob');
  expect(places.take('cid')).toBe('full');
  if (typeof first === 'function') first();
  expect(places.take('cid')).toBeTypeOf('function');
});

test('one caller gets at most half of the places', () => {
  const places = createPlaces(4);
  places.take('ann');
  places.take('ann');
  expect(places.take('ann')).toBe('share used up');
  expect(places.take('bob')).toBeTypeOf('function');
});

test('a place given back twice is one place', () => {
  const places = createPlaces(4);
  const first = places.take('ann');
  places.take('ann');
  if (typeof first !== 'function') throw new Error('no place');
  first();
  first();
  expect(places.taken()).toBe(1);
});
