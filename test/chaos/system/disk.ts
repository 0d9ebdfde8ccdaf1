// A disk of its own for the broker's store: one small enough to fill, or one whose last writes can be lost as in a power cut. Needs root.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { until } from '../wait.ts';

export type DiskKind = 'small' | 'lossy';

export type Disk = {
  /** Leaves not a byte. */
  fill(): void;
  free(): void;
  /** Keeps what the disk itself has at this moment. What the kernel still holds in memory is not in it. */
  snapshot(): void;
  /** Puts the snapshot in the disk's place. Whoever wrote there must be gone. Answers which files' last writes were lost: at least a canary's. */
  restore(): Promise<string[]>;
  unmount(): Promise<void>;
};

/** A day's events do not fit, a run's do. */
const SMALL_MEGABYTES = 24;
const LOSSY_MEGABYTES = 128;
const UNMOUNT_LIMIT_MS = 10_000;
/** Each takes a fraction of a second; the kernel writes back every few. */
const MOST_COPIES = 20;

export const mayMount = (): boolean => process.platform === 'linux' && process.getuid?.() === 0;

/** `folder` is made, and mounted on; files of the disk's own lie beside it, named after it. */
export function mountDisk(kind: DiskKind, folder: string): Disk {
  // Which one is mounted: after a power cut they change places.
  let [mounted, kept] = [`${folder}.image`, `${folder}.kept`];
  const filler = path.join(folder, 'filler');
  const canary = path.join(folder, 'canary');
  if (!mayMount()) throw new Error('only root on Linux can give the broker a disk of its own');
  mkdirSync(folder, { recursive: true });
  if (kind === 'small') execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_MEGABYTES}m`, 'tmpfs', folder]);
  else {
    writeFileSync(mounted, '');
    truncateSync(mounted, LOSSY_MEGABYTES * 1024 ** 2);
    execFileSync('mkfs.ext4', ['-q', '-F', mounted]);
    mountImage(mounted);
  }
  return {
    fill() {
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(filler, Buffer.alloc(bavail * bsize));
    },
    free: () => rmSync(filler, { force: true }),
    snapshot() {
      writeFileSync(canary, 'written, and not on the disk yet');
      // A copy that the kernel wrote into while it was made is of no one moment: no power cut leaves such a file system.
      for (let copies = 1; ; copies += 1) {
        copyFileSync(mounted, kept);
        if (spawnSync('cmp', ['--silent', mounted, kept]).status === 0) break;
        if (copies === MOST_COPIES) throw new Error(`the disk was written to during each of ${copies} copies`);
      }
    },
    async restore() {
      const before = fingerprints(folder);
      await unmount();
      [mounted, kept] = [kept, mounted];
      mountImage(mounted);
      const after = fingerprints(folder);
      return [...before].flatMap(([file, print]) => (after.get(file) === print ? [] : [file]));
    },
    unmount,
  };

  function mountImage(file: string): void {
    execFileSync('mount', ['-o', 'loop', file, folder]);
  }

  // Busy until the last process that had files there has ended.
  async function unmount(): Promise<void> {
    await until(`${folder} is unmounted`, UNMOUNT_LIMIT_MS, () => {
      execFileSync('umount', [folder], { stdio: 'pipe' });
      return true;
    });
  }
}

function fingerprints(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(files.map(({ parentPath, name }) => {
    const file = path.join(parentPath, name);
    return [path.relative(folder, file), createHash('sha256').update(readFileSync(file)).digest('hex')];
  }));
}
