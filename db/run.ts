// How a hot statement is sent: under a name, so that a connection plans it once. Planning is half the cost of a
// small group.

import type { Tx } from './client.ts';

/** @returns the rows, to be read with a schema. */
export async function run(tx: Tx, name: string, text: string, values: unknown[]): Promise<unknown[]> {
  const result = await tx.query<Record<string, unknown>>({ name, text, values });
  return result.rows;
}
