import { describe, expect, it } from 'vitest';
import { decodePageToken, encodePageToken, pageLimit } from './pages.ts';

const SCOPE = 'ListOrders customer_id=ann';

describe('a page token', () => {
  it('brings back the cursor, dates and bigints included', () => {
    const cursor = { created: new Date('2026-01-02T03:04:05.678Z'), position: 12n, id: 'o-1', tags: ['ä', null] };
    expect(decodePageToken(SCOPE, encodePageToken(SCOPE, cursor))).toEqual(cursor);
  });

  it('is empty for the first page', () => {
    expect(decodePageToken(SCOPE, '')).toBeUndefined();
  });

  it.each([
    ['of other filters', encodePageToken('ListOrders customer_id=bob', 'o-1')],
    ['of another list', encodePageToken('ListProducts', 'o-1')],
    ['that is garbage', 'x'],
    ['that was altered', `${encodePageToken(SCOPE, 'o-1').slice(0, -4)}AAAA`],
    ['that is only JSON', Buffer.from('{"id":"o-1"}').toString('base64url')],
  ])('%s is refused', (_title, token) => {
    expect(() => decodePageToken(SCOPE, token)).toThrow(expect.objectContaining({ reason: 'INVALID_PAGE_TOKEN' }));
  });

  it('does not show the filters, which may be personal', () => {
    expect(Buffer.from(encodePageToken('ListOrders ann@example.com', 'o-1'), 'base64url').toString()).not.toContain('ann');
  });
});

it.each([[0, 50], [-1, 50], [1, 1], [500, 500], [501, 500]])('a page size of %i means %i', (asked, limit) => {
  expect(pageLimit(asked)).toBe(limit);
});
