// A batch in words for a terminal: how it ended or how far it is.

import type { Batch } from '../../shared/client/contract.ts';

/** A batch on one line. */
export function showBatch({ id, kind, status, end_reason: reason, counts, error }: Batch): string {
  const done = counts.succeeded + counts.failed + counts.canceled + counts.expired;
  const others = (['failed', 'canceled', 'expired'] as const).flatMap((name) =>
    counts[name] === 0 ? [] : [`${counts[name]} ${name}`],
  );
  const words = [`${done} of ${counts.total} done`, ...others, ...(error === null ? [] : [error.detail])];
  return `${id}  ${kind}  ${reason ?? status}  ${words.join(', ')}`;
}
