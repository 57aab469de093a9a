// How the lines of a batch become jobs. Pure: ids and times come from the caller.

import { batchLimits, type LineFault } from './batch.ts';
import type { ParsedLine } from './parse-line.ts';

/** A line that can run, in its place in the batch. */
export interface GoodLine {
  readonly index: number;
  readonly customId: string;
  readonly text: string;
  readonly userId: string | null;
  readonly metadata: Readonly<Record<string, string>> | null;
}

export interface BadLine {
  readonly index: number;
  readonly customId: string | null;
  readonly faults: readonly LineFault[];
  /** Whether the batch shows them; of the others only the results do. */
  readonly told?: boolean;
}

/** The lines of a job: of one person, and so many that they fill a pool together with a few others. */
export interface LineGroup {
  readonly userId: string | null;
  readonly lines: readonly GoodLine[];
}

/** Groups lines by person, in their order; a group has up to `itemsPerJobMax`. */
export function cutLines(lines: readonly GoodLine[]): LineGroup[] {
  const byUser = new Map<string | null, GoodLine[]>();
  for (const line of lines) {
    const own = byUser.get(line.userId);
    if (own === undefined) byUser.set(line.userId, [line]);
    else own.push(line);
  }
  const size = batchLimits.itemsPerJobMax;
  return [...byUser].flatMap(([userId, own]) =>
    Array.from({ length: Math.ceil(own.length / size) }, (_, group) => ({
      userId,
      lines: own.slice(group * size, (group + 1) * size),
    })),
  );
}

/** @param userId whose text it is where the line does not say */
export function placeLine(parsed: ParsedLine, index: number, userId: string | null): GoodLine | BadLine {
  if (parsed.faults !== undefined) return { index, customId: parsed.customId, faults: parsed.faults };
  const { custom_id: customId, text, user_id: own, metadata } = parsed.line;
  return { index, customId, text, userId: own ?? userId, metadata: metadata ?? null };
}
