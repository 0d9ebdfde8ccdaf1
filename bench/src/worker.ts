// The load's own process, so that its CPU is counted apart: does one task at a time and answers with what it saw.
import { runHolds } from './load-holds.ts';
import { consumeImport, type ImportTask } from './load-import.ts';
import { runJourney, type JourneyTask } from './load-journey.ts';
import { runPlace, type PlaceTask } from './load-place.ts';
import { runReads, type ReadTask } from './load-reads.ts';
import { runReserve, type ReserveTask } from './load-reserve.ts';
import { runInserts, runPublishes, runUpdates, type LimitTask, type PublishTask } from './limits.ts';

export type Task =
  | ({ kind: 'place' } & PlaceTask)
  | ({ kind: 'journey' } & JourneyTask)
  | ({ kind: 'reads' } & ReadTask)
  | ({ kind: 'reserve' } & ReserveTask)
  | ({ kind: 'import' } & ImportTask)
  | ({ kind: 'inserts' } & LimitTask)
  | ({ kind: 'updates' } & LimitTask)
  | ({ kind: 'holds' } & LimitTask)
  | ({ kind: 'publishes' } & PublishTask);

process.on('message', (task: Task) => {
  run(task).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));

async function run(task: Task): Promise<unknown> {
  switch (task.kind) {
    case 'place':
      return runPlace(task);
    case 'journey':
      return runJourney(task);
    case 'reads':
      return runReads(task);
    case 'reserve':
      return runReserve(task);
    case 'import':
      return consumeImport(task);
    case 'inserts':
      return runInserts(task);
    case 'updates':
      return runUpdates(task);
    case 'holds':
      return runHolds(task);
    case 'publishes':
      return runPublishes(task);
    default:
      return task satisfies never;
  }
}
