// Reads jobs for many clients at once: what is asked for while a read is on its way goes into the next one, so a
// thousand waiting clients that wake together cost a few statements.

import { asTenant, type Pool } from '../db/client.ts';
import { type JobWithResults, listJobs } from '../db/jobs.ts';

export interface JobLoader {
  /** The job as it is now, or undefined if the tenant has none of that id. */
  readonly load: (tenantId: string, id: string) => Promise<JobWithResults | undefined>;
}

interface Wanted {
  readonly id: string;
  readonly resolve: (found: JobWithResults | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Jobs of one read. */
const jobsPerReadMax = 200;

export function createJobLoader(pool: Pool): JobLoader {
  const wanted = new Map<string, Wanted[]>();
  const reading = new Set<string>();

  const read = async (tenantId: string): Promise<void> => {
    if (reading.has(tenantId)) return;
    reading.add(tenantId);
    for (let group = take(tenantId); group.length > 0; group = take(tenantId)) {
      try {
        const ids = [...new Set(group.map(({ id }) => id))];
        const found = await asTenant(pool, tenantId, (reader) => listJobs(reader, tenantId, ids));
        for (const { id, resolve } of group) resolve(found.get(id));
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    reading.delete(tenantId);
  };

  const take = (tenantId: string): Wanted[] => {
    const queue = wanted.get(tenantId) ?? [];
    const group = queue.splice(0, jobsPerReadMax);
    if (queue.length === 0) wanted.delete(tenantId);
    return group;
  };

  return {
    load: (tenantId, id) =>
      new Promise((resolve, reject) => {
        const queue = wanted.get(tenantId) ?? [];
        queue.push({ id, resolve, reject });
        wanted.set(tenantId, queue);
        setImmediate(() => void read(tenantId));
      }),
  };
}
