// The life of a job as server-sent events.

import { type Request, Router } from 'express';
import { asTenant } from '../../db/client.ts';
import { listJobEvents } from '../../db/job-events.ts';
import { getJobVersion } from '../../db/jobs.ts';
import { formatJobId, terminalStatuses } from '../../shared/job.ts';
import type { Context } from '../context.ts';
import { type EventSource, streamEvents } from '../event-stream.ts';
import { jobNotFound, readJobName } from '../job-name.ts';
import { refuseMethod } from '../problem-handler.ts';

const terminalTypes: ReadonlySet<string> = new Set(terminalStatuses.map((status) => `job.${status}`));

export function jobEventRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/jobs/:id/events')
    .get((request, response) => streamEvents(context, sourceOf(context, request), request, response))
    .all(refuseMethod('GET'));
  return router;
}

function sourceOf({ readers, lookups }: Context, request: Request): EventSource {
  const name = readJobName(request);
  return {
    id: name.id,
    version: async () => {
      const found = await asTenant(lookups, name.tenantId, (reader) =>
        getJobVersion(reader, name.tenantId, name.id),
      );
      return found && { ended: terminalTypes.has(`job.${found.status}`), eventSequence: found.eventSequence };
    },
    list: (after, limit) =>
      asTenant(readers, name.tenantId, (reader) => listJobEvents(reader, name, after, limit)),
    isLast: (type) => terminalTypes.has(type),
    named: { job_id: formatJobId(name.id) },
    notFound: jobNotFound,
  };
}
