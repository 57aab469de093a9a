// An error in words for a person at a terminal.

/** The message of anything that was thrown; a failed connection to several addresses names each. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describeError).join('; ');
  return error instanceof Error ? error.message : String(error);
}
