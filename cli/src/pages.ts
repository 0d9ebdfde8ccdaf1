// Lists: as many pages as the asked number of rows needs.
import { TEXT, UsageError, type Call } from './command.ts';

/** The most that a page holds. */
export const PAGE = 500;
const DEFAULT_ROWS = 50;

export const PAGE_OPTIONS = { limit: TEXT, 'page-token': TEXT } as const;
export const PAGE_USAGE = '[--limit N] [--page-token T]';

/** Gathers rows; what is left over is said to the person, with the token that goes on from there. */
export async function gather<Page extends { nextPageToken: string }, Row>(call: Call, fetch: (page: { pageSize: number; pageToken: string }) => Promise<Page>, rowsOf: (page: Page) => Row[]): Promise<{ rows: Row[]; nextPageToken: string }> {
  const limit = call.flags.whole('limit') ?? DEFAULT_ROWS;
  if (limit < 1) throw new UsageError('--limit must be at least 1');
  const rows: Row[] = [];
  let pageToken = call.flags.text('page-token') ?? '';
  do {
    const page = await fetch({ pageSize: Math.min(PAGE, limit - rows.length), pageToken });
    rows.push(...rowsOf(page));
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && rows.length < limit);
  if (pageToken !== '' && !call.out.json) call.out.note(`There are more: --page-token ${pageToken}`);
  return { rows, nextPageToken: pageToken };
}
