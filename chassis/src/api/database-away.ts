// Tells a database that is away from a statement that is wrong.

const AWAY_MESSAGES = /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|not queryable/;
/** Connection exceptions, insufficient resources, operator intervention, lock not available; Prisma's words for the same; and what the socket says. */
const AWAY_CODES = /^(08|53|57)|^55P03$|^P(1001|1002|1008|1017|2024|2037)$|^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EHOSTUNREACH)$/;

/** Whether an error says that the database can't be reached or is overloaded, not that the statement is wrong. */
export function databaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  return (typeof code === 'string' && AWAY_CODES.test(code)) || AWAY_MESSAGES.test(error.message);
}
