// millrace events …
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { type Call, type Noun, TEXT, TEXTS, UsageError, YES, expectArgs } from '../command.ts';
import { readRuntimeFile } from '../connection.ts';
import { EXIT } from '../problems.ts';
import type { Places } from '../republish.ts';
import { readTime } from '../values.ts';

const OPTIONS = { since: TEXT, stream: TEXTS, 'dry-run': YES, runtime: TEXT } as const;

export const events: Noun = {
  about: 'what services have told each other',
  verbs: {
    republish: {
      usage: '--since TIME [--stream ORDERS,…] [--dry-run] [--runtime FILE]',
      about: `puts back what a stream has lost since then, from the services' own databases
      --since      a time, or how long ago: 2d; rows are kept for 7 days
      --stream     only these
      --dry-run    only says what is lost
      The broker takes for a repeat what it has had within two minutes: run it again when something was lost just now.`,
      options: OPTIONS,
      run: republish,
    },
  },
};

async function republish(call: Call): Promise<number> {
  expectArgs(call);
  const since = call.flags.text('since');
  if (since === undefined) throw new UsageError('--since is missing: since when may events have been lost?');
  const from = timestampDate(readTime(since, '--since'));
  const put = !call.flags.on('dry-run');
  // Databases and streams: nothing that the other verbs should load.
  const { STREAM_OF, republish: putBack } = await import('../republish.ts');
  const wanted = call.flags.words('stream').map((name) => name.toUpperCase());
  const names = Object.values(STREAM_OF);
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new UsageError(`--stream is one of ${names.join(', ')}, not "${unknown.join(', ')}"`);
  const places = placesOf(call);
  const found = [];
  const failed: string[] = [];
  for (const [service, stream] of Object.entries(STREAM_OF) as [keyof typeof STREAM_OF, string][]) {
    if (wanted.length > 0 && !wanted.includes(stream)) continue;
    try {
      found.push(await putBack(places, service, from, put));
    } catch (error) {
      failed.push(`${stream} could not be compared with the events of ${service}: ${(error as Error).message}`);
    }
  }
  if (call.out.json) call.out.line(JSON.stringify({ streams: found, failed }));
  else call.out.table(['STREAM', 'SERVICE', 'PUBLISHED', 'LOST', ''], found.map(({ stream, service, said, lost }) => [stream, service, said, lost, lost === 0 ? '' : put ? 'is being published again' : 'would be published again']));
  for (const problem of failed) call.out.note(problem);
  return failed.length > 0 ? EXIT.unreachable : EXIT.ok;
}

function placesOf(call: Call): Places {
  const { file, content } = readRuntimeFile(call.env, call.flags.text('runtime'));
  const { postgres, nats } = (content ?? {}) as Partial<Places>;
  if (!postgres || !nats) throw new UsageError(content ? `${file} does not say where the databases and the streams are.` : `Millrace is not running here: there is no ${file}. Start it with npm start, or name its runtime.json with --runtime.`);
  return { postgres, nats };
}
