export type Flags = { detach: boolean; together: boolean; help: boolean; seed: number | undefined };

export const USAGE: string;
/** Throws an error in plain words on a flag it does not know or a value that makes no sense. */
export function readFlags(args: string[]): Flags;
