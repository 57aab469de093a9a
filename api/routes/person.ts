// A person's rights over what is stored about them: to have a copy of all of it, and to have it erased with a receipt.

import { type Request, type Response, Router } from 'express';
import { once } from 'node:events';
import { z } from 'zod';
import { eraseSome, requestErasure } from '../../db/erase-person.ts';
import type { ErasureName } from '../../db/erasures.ts';
import { tenantOf } from '../authenticate.ts';
import { hangUp } from '../await-job.ts';
import type { Context } from '../context.ts';
import { erasureNotFound, findErasure, parseErasureId, sendErasure } from '../erasure-view.ts';
import { exportLines } from '../export-view.ts';
import { refuseMethod } from '../problem-handler.ts';
import { validate } from '../validate.ts';
import { readPerson } from './users.ts';

/** Longest that a request erases by itself; what is left then, the dispatcher does. */
const eraseMsMax = 300;

const noQuery = z.strictObject({});

export function personRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/users/:user_id')
    .delete((request, response) => erasePerson(context, request, response))
    .all(refuseMethod('DELETE'));
  router
    .route('/v1/users/:user_id/export')
    .get((request, response) => sendExport(context, request, response))
    .all(refuseMethod('GET'));
  router
    .route('/v1/erasures/:id')
    .get((request, response) => showErasure(context, request, response))
    .all(refuseMethod('GET'));
  return router;
}

async function erasePerson(context: Context, request: Request, response: Response): Promise<void> {
  validate(noQuery, request.query, '?');
  const person = readPerson(request);
  const name = { tenantId: person.tenantId, id: await requestErasure(context.changers, person) };
  // The request is recorded: whatever happens from here on, the dispatcher finishes it.
  await eraseForAWhile(context, name).catch((error: unknown) =>
    context.log.warn({ err: error, erasure: name.id }, 'an erasure is left to the dispatcher'),
  );
  const row = await findErasure(context, name);
  response.setHeader('Location', `/v1/erasures/era_${row.id}`);
  sendErasure(response, row, row.completedAt === null ? 202 : 200);
}

async function eraseForAWhile({ changers, config }: Context, name: ErasureName): Promise<void> {
  const deadlineMs = performance.now() + eraseMsMax;
  while (performance.now() < deadlineMs) {
    if ((await eraseSome(changers, name, config.ATTEMPTS_MAX)) !== 'more') return;
  }
}

async function showErasure(context: Context, request: Request, response: Response): Promise<void> {
  validate(noQuery, request.query, '?');
  const id = parseErasureId(z.string().parse(request.params['id']));
  if (id === undefined) throw erasureNotFound();
  sendErasure(response, await findErasure(context, { tenantId: tenantOf(request), id }), 200);
}

async function sendExport(context: Context, request: Request, response: Response): Promise<void> {
  validate(noQuery, request.query, '?');
  const lines = exportLines(context, readPerson(request), new Date());
  const signal = AbortSignal.any([hangUp(response), context.stopping]);
  // Read before anything is sent: a ledger that is away is a 503 and no empty file.
  let next = await lines.next();
  response.writeHead(200, {
    'Content-Type': 'application/x-ndjson',
    'Content-Disposition': 'attachment; filename="export.ndjson"',
    'Cache-Control': 'no-store',
  });
  try {
    for (; !next.done && !signal.aborted; next = await lines.next()) {
      if (!response.write(`${JSON.stringify(next.value)}\n`)) await once(response, 'drain', { signal });
    }
  } catch (error) {
    if (!signal.aborted) context.log.warn({ err: error }, 'an export was cut off');
  }
  // Cut off without its last chunk, a client sees that the answer is not whole.
  if (next.done === true) response.end();
  else response.destroy();
}
