// Bounds of each process's JavaScript heap. The containers repeat them (Dockerfile, docker-compose.yml): a test holds both to these.

/** In megabytes. */
type Heap = { young: number; old: number };

/**
 * With Node's own bounds the young generations of seven processes outgrow all that the services keep, and the old ones, whose bound is a share of the
 * machine's memory, are let grow to four times what lives in them before they are swept. Under load no service is larger than two fifths of this in all.
 */
const HEAP: Heap = { young: 16, old: 512 };
/** Product is asked little: order remembers prices. Together is five; the sandbox keeps its whole ledger in memory, and should cost the system under test little. */
const HEAPS: Record<string, Heap> = { product: { young: 4, old: 512 }, together: { young: 64, old: 1_024 }, sandbox: { young: 64, old: 4_096 } };

/** One for all threads: those of the pool allocate little, and what each keeps for itself is some MB a process. */
export const MALLOC_ARENAS = '1';

/** What Node is told of the heap of a process; without a name, of most of them. */
export function heapFlags(name = ''): string[] {
  const { young, old } = HEAPS[name] ?? HEAP;
  return [`--max-semi-space-size=${young}`, `--max-old-space-size=${old}`];
}
