// Plays schedules until one breaks a promise, and then shortens it to what shows the break.
import { throwing } from './dice.ts';
import { checkEnd, watch } from './invariants.ts';
import { drawSchedule, make, type Move, type Profile, PROFILES, type Schedule } from './moves.ts';
import { RULES, type Rules } from './rules.ts';
import { createWorld, type World } from './world.ts';

export type Found = { seed: number; problem: string; schedule: Schedule; trace: string[] };

/** Tries to shorten one failure; each is a run of about a millisecond. */
const MAX_TRIES = 4_000;

/** Plays a schedule to its end; throws at the first promise that is broken. */
export function play({ scene, moves }: Schedule, rules: Rules = RULES, trace?: string[]): World {
  const world = createWorld(scene, rules, trace);
  const check = watch(world);
  for (const move of moves) {
    trace?.push(`— ${move.join(' ')}`);
    make(world, move);
    check();
    if (move[0] === 'settle') checkEnd(world);
  }
  trace?.push('— and settles');
  try {
    world.settle();
  } finally {
    check();
  }
  checkEnd(world);
  return world;
}

/** Plays `runs` schedules of consecutive seeds; answers the first failure, shortened. `look` sees every world that held. */
export function explore({ runs, seed, profile = PROFILES.all, rules = RULES, look }: { runs: number; seed: number; profile?: Profile; rules?: Rules; look?: (world: World) => void }): Found | undefined {
  for (let i = 0; i < runs; i += 1) {
    const schedule = drawSchedule(throwing(seed + i), profile);
    const problem = problemOf(schedule, rules, look);
    if (problem !== undefined) return explain(seed + i, shorten(schedule, rules), rules);
  }
  return undefined;
}

function problemOf(schedule: Schedule, rules: Rules, look?: (world: World) => void): string | undefined {
  try {
    const world = play(schedule, rules);
    look?.(world);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function explain(seed: number, schedule: Schedule, rules: Rules): Found {
  const trace: string[] = [];
  let problem = 'it held when it was played again';
  try {
    play(schedule, rules, trace);
  } catch (error) {
    problem = (error as Error).message;
  }
  // What waits in vain for its end says the same again and again.
  return { seed, problem, schedule, trace: trace.filter((line, i) => line !== trace[i - 1]) };
}

/** Leaves out moves, longest stretches first, and makes numbers small, as long as something breaks. */
function shorten(schedule: Schedule, rules: Rules): Schedule {
  let tries = 0;
  let { moves } = schedule;
  const breaks = (candidate: readonly Move[]): boolean => (tries += 1) < MAX_TRIES && problemOf({ ...schedule, moves: candidate }, rules) !== undefined;
  for (let length = Math.ceil(moves.length / 2); length >= 1; length = length === 1 ? 0 : Math.ceil(length / 2)) {
    for (let at = moves.length - length; at >= 0; at -= length) {
      const candidate = moves.toSpliced(at, length);
      if (breaks(candidate)) moves = candidate;
    }
  }
  for (let at = 0; at < moves.length; at += 1) {
    const [name, a, b] = moves[at] as Move;
    for (const simpler of [[name, 0, 0], [name, 0, b], [name, a, 0]] as const) {
      const candidate = moves.with(at, simpler);
      if ((a !== 0 || b !== 0) && breaks(candidate)) {
        moves = candidate;
        break;
      }
    }
  }
  return { ...schedule, moves };
}

export function report({ seed, problem, schedule, trace }: Found): string {
  return `${problem}\n\nseed ${seed}, shortened to ${schedule.moves.length} moves; to be kept in test/simulation/regressions.ts as\n${JSON.stringify(schedule)}\n\n${trace.join('\n')}\n`;
}
