// One picture: what the system does a second, beside the limits of the same machine.
import { short } from './goals.ts';
import type { Report } from './report.ts';

const [WIDTH, ROW, LABEL, BAR] = [860, 26, 330, 420];

export function plot({ apart, together }: Report): string {
  const of = (results: typeof together, name: string, label: string) => {
    const rate = results?.figures[name]?.rate;
    return rate === undefined ? [] : [{ label, rate, limit: name.startsWith('limit') }];
  };
  const bars = [
    ...of(apart, 'limit: insert', 'L: one statement per commit, nothing else'),
    ...of(apart, 'place, order, 64', 'place, apart, at the order service'),
    ...of(apart, 'place, edge, 64', 'place, apart, at the edge'),
    ...of(apart, 'flash, edge, 64', 'flash sale on one sku, at the edge'),
    ...of(apart, 'baskets of 3, edge, 64', 'baskets of three skus, at the edge'),
    ...of(together, 'limit: insert', 'L, measured with the next two'),
    ...of(together, 'place, order, 64', 'place, together, at the order service'),
    ...of(together, 'place, edge, 64', 'place, together, at the edge'),
    ...(apart.journey ? [{ label: 'whole journeys', rate: apart.journey.most, limit: false }] : []),
  ];
  const most = Math.max(1, ...bars.map(({ rate }) => rate));
  const rows = bars.map(({ label, rate, limit }, i) => {
    const [y, width] = [30 + i * ROW, Math.max(1, Math.round((rate / most) * BAR))];
    return `<text x="${LABEL - 10}" y="${y + 14}" text-anchor="end">${label}</text><rect x="${LABEL}" y="${y + 1}" width="${width}" height="18" rx="2" fill="${limit ? '#9aa5b1' : '#2f6f9f'}"/><text x="${LABEL + width + 8}" y="${y + 14}">${short(rate)}</text>`;
  });
  const height = 40 + bars.length * ROW;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#1f2933"><rect width="100%" height="100%" fill="#ffffff"/><text x="${LABEL}" y="18" font-weight="600">orders a second, 64 clients</text>${rows.join('')}</svg>\n`;
}
