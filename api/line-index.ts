// Where a job stands in its line, found by bisection: cumulative counts at every so many jobs. What leaves the line in
// its middle (a cancel) is noticed when the head passes it.

import type { LinePart } from '../db/queue-lines.ts';
import { uuidTime } from '../shared/job.ts';

/** Jobs and items, counted from the beginning of the index. */
export interface Count {
  readonly jobs: number;
  readonly items: number;
}

/** The end of a part, which began at `fromMs`. */
interface Checkpoint extends Count {
  readonly id: string;
  readonly fromMs: number;
}

export interface LineIndex {
  /** The last job that is known; undefined while none is. */
  readonly lastId: () => string | undefined;
  readonly append: (parts: readonly LinePart[]) => void;
  /** Tells which job goes next: what is before it is forgotten. */
  readonly advance: (headId: string) => void;
  /** What goes before the job. */
  readonly ahead: (id: string) => Count;
  /** All that is in the line. */
  readonly total: () => Count;
  /** What is ahead of the first checkpoint for which `holds`, of a few hundred all over the line: told its time. */
  readonly find: (holds: (queuedMs: number, ahead: Count) => boolean) => Count | undefined;
}

/** Beyond this two parts become one each: places inside a part are told by their times. */
const checkpointsMax = 8192;

const pointsTriedMax = 256;

export function createLineIndex(): LineIndex {
  let points: Checkpoint[] = [];
  let head: Count = { jobs: 0, items: 0 };
  /** Where the first checkpoint's part begins. */
  let start: Count = { jobs: 0, items: 0 };

  /** Jobs and items before the place of `id`. */
  const countTo = (id: string): Count => {
    const index = bisect(points, id);
    const before = points[index - 1] ?? start;
    const end = points[index];
    if (end === undefined) return before;
    const atMs = uuidTime(id).getTime() - end.fromMs;
    const spanMs = Math.max(1, uuidTime(end.id).getTime() - end.fromMs);
    const part = Math.min(1, Math.max(0, id === end.id ? 1 : atMs / spanMs));
    const jobs = Math.round(part * (end.jobs - before.jobs - 1));
    const itemsPerJob = (end.items - before.items) / (end.jobs - before.jobs);
    return { jobs: before.jobs + jobs, items: before.items + Math.round(jobs * itemsPerJob) };
  };
  const minus = (count: Count): Count => ({
    jobs: Math.max(0, count.jobs - head.jobs),
    items: Math.max(0, count.items - head.items),
  });

  return {
    lastId: () => points.at(-1)?.id,
    append: (parts) => {
      for (const part of parts) {
        const last = points.at(-1) ?? start;
        const fromMs = uuidTime(part.firstId).getTime();
        points.push({ id: part.lastId, fromMs, jobs: last.jobs + part.jobs, items: last.items + part.items });
      }
      if (points.length > checkpointsMax) points = joinPairs(points);
    },
    advance: (headId) => {
      const index = bisect(points, headId);
      const before = points[index - 1];
      if (before !== undefined) start = before;
      points = points.slice(index);
      const reached = countTo(headId);
      // A job that comes back with an old id stands first, and takes nothing back.
      if (reached.jobs > head.jobs) head = reached;
    },
    ahead: (id) => minus(countTo(id)),
    total: () => minus(points.at(-1) ?? start),
    find: (holds) => {
      const step = Math.ceil(points.length / pointsTriedMax);
      const tried = points.filter((_, index) => index % step === 0);
      const found = tried.find((point) => holds(uuidTime(point.id).getTime(), minus(point)));
      return found && minus(found);
    },
  };
}

function joinPairs(points: readonly Checkpoint[]): Checkpoint[] {
  return points.flatMap((point, index) => {
    if (index % 2 === 0) return index === points.length - 1 ? [point] : [];
    return [{ ...point, fromMs: points[index - 1]?.fromMs ?? point.fromMs }];
  });
}

/** How many checkpoints are before `id`. */
function bisect(points: readonly Checkpoint[], id: string): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.id ?? '') < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
