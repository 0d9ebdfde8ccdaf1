import { describe, expect, it } from 'vitest';
import { archiveProduct, changeProduct, maskedChanges, newProduct, type Details } from './product.ts';

const now = new Date('2026-11-23T10:00:00Z');
const later = new Date('2026-11-23T11:00:00Z');
const details: Details = { name: 'Lamp', description: '', price: { currencyCode: 'EUR', minorUnits: 1999n }, attributes: { colour: 'red', size: 'M' }, imageUrl: '' };
const lamp = newProduct('lamp', details, now);

describe('a change', () => {
  it('takes over what differs, names it and counts one revision', () => {
    const { product, changedFields } = changeProduct(lamp, { name: 'Desk lamp', price: { currencyCode: 'EUR', minorUnits: 2099n }, description: '' }, 1, later);
    expect(changedFields).toEqual(['name', 'price']);
    expect(product).toEqual({ ...lamp, name: 'Desk lamp', price: { currencyCode: 'EUR', minorUnits: 2099n }, revision: 2, updateTime: later });
  });

  it('without a difference keeps revision and time, whatever the order of the attributes', () => {
    const { product, changedFields } = changeProduct(lamp, { ...details, attributes: { size: 'M', colour: 'red' } }, 0, later);
    expect(changedFields).toEqual([]);
    expect(product).toBe(lamp);
  });

  it('made for another revision is refused with the current one', () => {
    expect(() => changeProduct(lamp, { name: 'x' }, 2, later)).toThrow(expect.objectContaining({ reason: 'REVISION_CONFLICT', metadata: { revision: '1' } }));
  });

  it('of an archived product is refused', () => {
    expect(() => changeProduct(archiveProduct(lamp, later), { name: 'x' }, 0, later)).toThrow(expect.objectContaining({ reason: 'PRODUCT_ARCHIVED', metadata: { sku: 'lamp' } }));
  });
});

describe('archiving', () => {
  it('counts a revision, and once only', () => {
    const archived = archiveProduct(lamp, later);
    expect(archived).toMatchObject({ state: 'ARCHIVED', revision: 2, updateTime: later });
    expect(archiveProduct(archived, new Date())).toBe(archived);
  });
});

describe('an update mask', () => {
  it('picks what it names and leaves the rest', () => {
    expect(maskedChanges(details, ['description', 'image_url'])).toEqual({ description: '', imageUrl: '' });
  });

  it.each([[[]], [['state']], [['sku']], [['revision']], [['*']], [['price.minor_units']], [['name', 'nonsense']], [['imageUrl']]])('of %j is refused', (mask) => {
    expect(() => maskedChanges(details, mask)).toThrow(expect.objectContaining({ reason: 'INVALID_UPDATE_MASK' }));
  });

  it.each([[['name']], [['price']]])('can not empty %j', (mask) => {
    expect(() => maskedChanges({ ...details, name: '', price: undefined }, mask)).toThrow(expect.objectContaining({ reason: 'INVALID_FIELD' }));
  });
});
