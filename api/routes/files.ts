// Files of lines: upload, look, list, content, delete.

import { type Request, type Response, Router } from 'express';
import { once } from 'node:events';
import type { BatchName } from '../../db/batch-counting.ts';
import { asTenant } from '../../db/client.ts';
import { deleteFile, type FileRow, getFile, getFileChunk, listFilePage } from '../../db/files.ts';
import { formatFileId, parseFileId } from '../../shared/batch.ts';
import { tenantOf } from '../authenticate.ts';
import { hangUp } from '../await-job.ts';
import { fileNotFound, readFileName } from '../batch-name.ts';
import { fileListQuerySchema, fileUploadQuerySchema } from '../batch-queries.ts';
import { toFileView } from '../batch-view.ts';
import type { Context } from '../context.ts';
import { toListPage } from '../list-page.ts';
import { refuseMethod } from '../problem-handler.ts';
import { checkUpload, readUpload, UploadBroken } from '../read-upload.ts';
import { storeFile } from '../store-file.ts';
import { validate } from '../validate.ts';

export function fileRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/files')
    .get((request, response) => showFiles(context, request, response))
    .post((request, response) => upload(context, request, response))
    .all(refuseMethod('GET', 'POST'));
  router
    .route('/v1/files/:id')
    .get(async (request, response) => {
      response.json(toFileView(await findFile(context, readFileName(request))));
    })
    .delete((request, response) => remove(context, request, response))
    .all(refuseMethod('GET', 'DELETE'));
  router
    .route('/v1/files/:id/content')
    .get((request, response) => sendContent(context, request, response))
    .all(refuseMethod('GET'));
  return router;
}

async function upload(context: Context, request: Request, response: Response): Promise<void> {
  checkUpload(request);
  const { filename, retention_seconds: retention } = validate(fileUploadQuerySchema, request.query, '?');
  const { BATCH_BYTES_MAX: bytesMax, UPLOAD_IDLE_MS: idleMs } = context.config;
  const pieces = readUpload(request, { bytesMax, idleMs, signal: context.stopping });
  try {
    const name = await storeFile(context, { tenantId: tenantOf(request), filename, retention, pieces });
    const view = toFileView(await findFile(context, name));
    response.status(201).setHeader('Location', view.links.self).json(view);
  } catch (error) {
    if (!(error instanceof UploadBroken)) throw error;
    context.log.info({ err: error }, 'the upload of a file broke off');
    request.destroy();
  }
}

/** @throws ProblemError `file_not_found` */
async function findFile({ readers }: Context, name: BatchName): Promise<FileRow> {
  const file = await asTenant(readers, name.tenantId, (reader) => getFile(reader, name));
  if (file === undefined) throw fileNotFound();
  return file;
}

async function showFiles({ readers }: Context, request: Request, response: Response): Promise<void> {
  const { limit, after, before } = validate(fileListQuerySchema, request.query, '?');
  const place = { limit, after: after && parseFileId(after), before: before && parseFileId(before) };
  const tenantId = tenantOf(request);
  const page = await asTenant(readers, tenantId, (reader) => listFilePage(reader, tenantId, place));
  response.json(toListPage(page.files.map(toFileView), page.hasMore));
}

async function sendContent(context: Context, request: Request, response: Response): Promise<void> {
  const name = readFileName(request);
  const file = await findFile(context, name);
  const gone = hangUp(response);
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson', 'Content-Length': file.byteCount });
  for (let index = 0; !gone.aborted; index++) {
    const chunk = await getFileChunk(context.bulk, name, index);
    if (chunk === undefined) break;
    if (!response.write(chunk)) await once(response, 'drain', { signal: gone }).catch(() => undefined);
  }
  response.end();
}

async function remove(context: Context, request: Request, response: Response): Promise<void> {
  const name = readFileName(request);
  await findFile(context, name);
  if (!(await deleteFile(context.bulk, name))) throw fileNotFound();
  response.json({ id: formatFileId(name.id), object: 'file', deleted: true });
}
