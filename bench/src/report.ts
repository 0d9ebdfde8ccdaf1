// The report: for the terminal, and as the page in docs/.
import { SERVICES } from '../../local/src/nats-permissions.ts';
import type { Flags } from './flags.ts';
import { type Goal, WANTED_EVENTS, ratio, short } from './goals.ts';
import { type Use, serviceAndDatabase } from './measure.ts';
import type { Growth } from './growth.ts';
import type { Results } from './run.ts';

export type Report = { time: string; seconds: number; machine: string; flags: Flags; apart: Results; together: Results | undefined; growth: Growth | undefined; goals: Goal[] };

/** More than this share for others, and the absolute numbers say as much about them as about us. */
const DISTURBED = 0.1;

export function toText(report: Report): string {
  const { apart, together } = report;
  const blocks = [goalTable(report), figureTable(apart), cpuTable(apart), batchTable(apart), drainTable(apart), journeyLine(apart), growthTable(report.growth), ...(together ? ['All services in one process:', figureTable(together), cpuTable(together)] : []), noteOnStrangers(report)];
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}

export function toMarkdown(report: Report): string {
  const { apart, together, machine, flags } = report;
  return [
    '# Performance',
    '',
    `Written by \`npm run bench\` on ${report.time.slice(0, 10)}: ${machine}; the load client, Postgres, NATS and the providers' sandbox are on the same cores.`,
    `Medians of ${flags.rounds} alternating rounds, ${report.seconds} s in all. Absolute numbers belong to that machine and that moment: read the ratios and the CPU times.`,
    noteOnStrangers(report),
    '',
    '**L** is the limit beside it, measured in the same rounds: one prepared statement that writes what a placed order leaves behind (order, its place among those that wait, timeline, event), one request',
    'per commit, 64 connections, nothing else: no prices, no stock, no validation, no tokens, no RPC.',
    '',
    'While placing is measured, the consumers of `orders.placed` are held at the broker: payment and mails compete for the same cores, and `journey` measures them. Everything else is',
    'on: validation, tokens, metrics, the relay. The load client shares the cores, so it is a lean one: it sends the same Connect calls over HTTP/2 as any client, from messages that',
    'are encoded beforehand, and does not take the answers apart. Like a storefront it names the total that the buyer saw, so that order may use remembered prices; its request ids are',
    'UUIDs of version 7 (docs/scaling.md), and L writes ids of that kind. Afterwards the stock, its ledger, the reservations, the captures and the acknowledged orders are compared; with one violation no',
    'number is printed.',
    '',
    `Before, ${[apart, ...(together ? [together] : [])].map(({ warmUp }) => warmUp.orders.toLocaleString('en')).join(' and ')} orders were placed to warm up, until an order got no cheaper.`,
    '',
    '## Reached and not reached',
    '',
    goalTable(report),
    '',
    'What keeps all cores busy is at the limit of what the machine gives for its price; what does not, waits for something else. The cores that were busy, whoever kept them so, stand beside each case.',
    '',
    '![Orders per second against the limits](performance.svg)',
    '',
    '## Each service a process of its own',
    '',
    figureTable(apart),
    '',
    `Memory of the five services and the edge under load: ${short(apart.memory.pss)} MB (${short(apart.memory.rss)} MB when what they share is counted for each): the most after the journeys and after each placing.`,
    '',
    '### CPU µs for each piece of work, by process',
    '',
    cpuTable(apart),
    '',
    '### Orders that shared a transaction',
    '',
    batchTable(apart),
    '',
    '### Whole journeys',
    '',
    journeyLine(apart),
    '',
    '### Consumers with a backlog',
    '',
    'One after the other, and alone: what one gives others to do waits. Beside the rate CPU µs an event, by process.',
    '',
    drainTable(apart),
    '',
    ...(together ? ['## All services in one process', '', figureTable(together), '', cpuTable(together), ''] : []),
    ...(report.growth ? ['## With many orders in the tables', '', growthTable(report.growth), ''] : []),
    '## Not measured here',
    '',
    'Soaks (`npm run bench -- --soak 30`) and audits (`npm run bench -- --fill 1000000`) are runs of their own. Mails and payments go to the sandbox, which answers faster than the real providers and costs CPU on the',
    'same machine that they would not.',
    '',
  ].filter((line, i, all) => line !== '' || all[i - 1] !== '').join('\n');
}

function goalTable(report: Report): string {
  const isBusy = strangersIn(report) > DISTURBED;
  const [met, missed] = isBusy ? ['reached, on a busy machine', 'not reached, on a busy machine'] : ['reached', '**not reached**'];
  return table(['to reach', '', 'measured', ''], report.goals.map(({ name, wanted, measured, reached }) => [name, wanted, measured, reached === undefined ? '–' : reached ? met : missed]));
}

function figureTable({ figures }: Results): string {
  const limit = figures['limit: insert'];
  const rows = Object.entries(figures).map(([name, figure]) => {
    const toLimit = name.startsWith('place') || name.startsWith('flash') || name.startsWith('baskets') ? ratio(figure, limit) : undefined;
    const times = figure.p50 > 0 ? [figure.p50, figure.p99, figure.p999].map((ms) => short(ms)) : ['', '', ''];
    const refused = Object.entries(figure.refused).map(([code, count]) => `${count} ${code}`).join(', ');
    return [name, short(figure.rate), toLimit === undefined ? '' : toLimit.toFixed(2), ...times, short(figure.busy), refused];
  });
  return table(['case', 'per second', '× L', 'p50 ms', 'p99 ms', 'p99.9 ms', 'busy cores', 'refused'], rows);
}

function cpuTable({ figures, together }: Results): string {
  const names = processes(together);
  const rows = Object.entries(figures).filter(([name]) => !name.startsWith('limit: batch')).map(([name, figure]) => [name, short(serviceAndDatabase(figure)), ...cpuCells(names, figure)]);
  return table(['case', 'services + Postgres', ...names], rows);
}

function drainTable({ drained, figures, together }: Results): string {
  const published = figures['limit: batch publish'];
  const names = ['sandbox', ...processes(together)];
  const rows = Object.entries(drained).map(([consumer, drain]) => [consumer, short(drain.rate), short(drain.busy), short(drain.busy * WANTED_EVENTS / drain.rate), ...cpuCells(names, drain)]);
  const beside = published ? [['beside it: atomic batches of 500 into the broker', short(published.rate), short(published.busy), '', ...names.map(() => '')]] : [];
  return table(['consumer', 'events per second', 'busy cores', `that ${WANTED_EVENTS.toLocaleString('en')} would take`, ...names], [...rows, ...beside]);
}

function processes(together: boolean): string[] {
  return [...(together ? ['together'] : SERVICES), 'edge', 'postgres', 'nats', 'client'];
}

function cpuCells(names: string[], { cpu }: Use): string[] {
  return names.map((name) => (cpu[name] === undefined ? '' : short(cpu[name])));
}

function batchTable({ batches }: Results): string {
  return table(['case', 'holds in a transaction of inventory', 'orders in a transaction of order', 'events in a publication'], Object.entries(batches).map(([name, { held, stored, published }]) => [name, short(held), short(stored), short(published)]));
}

function journeyLine({ journey }: Results): string {
  if (journey === undefined) return '';
  const { rate, most, seconds, p50, p99, backlog, cpu, busy } = journey;
  const spentBy = Object.entries(cpu).map(([name, time]) => `${name} ${short(time)}`).join(', ');
  return `From placed to confirmed with both mails handed to the provider: ${short(most)} orders a second when as many are placed as go. Placed evenly for ${seconds} s, ${short(rate)} a second; p50 ${short(p50)} ms, p99 ${short(p99)} ms with ${backlog[0]} to ${backlog[1]} under way and ${short(busy)} cores busy. CPU µs for each: ${spentBy}.`;
}

function growthTable(growth: Growth | undefined): string {
  const rows = (growth ?? []).map(({ orders, figure: { rate, p50, p99, ...rest } }) => [orders.toLocaleString('en'), short(rate), short(p50), short(p99), short(serviceAndDatabase({ rate, p50, p99, ...rest })), short(rest.cpu['postgres'] ?? 0)]);
  return table(['orders in the tables', 'placed per second', 'p50 ms', 'p99 ms', 'CPU µs an order, services + Postgres', 'of it Postgres'], rows);
}

function noteOnStrangers(report: Report): string {
  const most = strangersIn(report);
  return most > DISTURBED ? `Processes that are not part of the system took up to ${Math.round(most * 100)} % of the CPU time during a case: rates and latencies say more about them than about the system, and have to be measured again.` : '';
}

function strangersIn({ apart, together }: Report): number {
  return Math.max(0, ...[apart, ...(together ? [together] : [])].flatMap(({ figures }) => Object.values(figures)).map(({ strangers }) => strangers));
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return rows.length === 0 ? '' : [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}
