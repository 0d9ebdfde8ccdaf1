/** Why there are no numbers. */
export class RefusedError extends Error {
  constructor(problems: string[]) {
    super(`No numbers: they would be worth nothing.\n${problems.join('\n')}`);
  }
}
