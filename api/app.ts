// The HTTP application: who answers what, in the order in which a request meets it.

import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { randomUUID } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { refuseUnacceptable } from './acceptable.ts';
import { authenticate } from './authenticate.ts';
import { limitBodyTime } from './body-time.ts';
import type { Context } from './context.ts';
import { limitRequests } from './limit-requests.ts';
import { measureRequests } from './measure-requests.ts';
import { createOpenApi } from './openapi.ts';
import { notFound, problemHandler } from './problem-handler.ts';
import { batchRoutes } from './routes/batches.ts';
import { batchStreamRoutes } from './routes/batch-streams.ts';
import { compatRoutes } from './routes/compat.ts';
import { deliveryRoutes } from './routes/deliveries.ts';
import { docsRoutes } from './routes/docs.ts';
import { fileRoutes } from './routes/files.ts';
import { healthRoutes } from './routes/health.ts';
import { jobControlRoutes } from './routes/job-control.ts';
import { jobEventRoutes } from './routes/job-events.ts';
import { jobRoutes } from './routes/jobs.ts';
import { personRoutes } from './routes/person.ts';
import { openaiErrorHandler, openaiRoutes } from './routes/openai.ts';
import { userRoutes } from './routes/users.ts';
import { webhookEndpointRoutes } from './routes/webhook-endpoints.ts';

/** How long a client may take to send a request that is no upload. */
const bodyMsMax = 15_000;

export function createApp(context: Context): Express {
  const app = express();
  const document = createOpenApi(context.registry, context.config.AUTH);
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('case sensitive routing', true);
  app.use(
    protect(),
    identify,
    limitBodyTime(bodyMsMax),
    measureRequests,
    closeWhenStopping(context.stopping),
    authenticate(context.config, context.keys, context.keyUse),
    limitRequests(context.quota),
    refuseUnacceptable(document),
  );
  app.use(
    // First what is asked most: each router before it costs a request its look at every path.
    jobRoutes(context),
    healthRoutes(context),
    docsRoutes(document),
    jobControlRoutes(context),
    jobEventRoutes(context),
    batchRoutes(context),
    batchStreamRoutes(context),
    fileRoutes(context),
    openaiRoutes(context),
    userRoutes(context),
    webhookEndpointRoutes(context),
    deliveryRoutes(context),
    personRoutes(context),
    compatRoutes(context),
  );
  app.use(notFound);
  app.use('/openai', openaiErrorHandler(context.log));
  app.use(problemHandler(context.log));
  return app;
}

/** Helmet's headers, which are the same for every answer: asked for once, not by its 13 handlers for each request. */
function protect(): RequestHandler {
  const request = new IncomingMessage(new Socket());
  const sample = new ServerResponse(request);
  const contentSecurityPolicy = { directives: { 'default-src': ["'none'"] }, useDefaults: false };
  helmet({ contentSecurityPolicy })(request, sample, () => undefined);
  const headers = Object.entries(sample.getHeaders()).map(([name, value]) => [name, String(value)] as const);
  return (_request, response, next) => {
    for (const [name, value] of headers) response.setHeader(name, value);
    next();
  };
}

/** Gives every request an id, its own if it brings a sound one, and returns the trace context it came with. */
const identify: RequestHandler = (request, response, next) => {
  const given = request.get('X-Request-Id');
  response.setHeader(
    'X-Request-Id',
    given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID(),
  );
  const traceparent = request.get('traceparent');
  if (traceparent !== undefined && /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/.test(traceparent)) {
    response.setHeader('traceparent', traceparent);
  }
  next();
};

/** A connection that stays open would hold up the end of the process. */
function closeWhenStopping(stopping: AbortSignal): RequestHandler {
  return (_request, response, next) => {
    if (stopping.aborted) response.setHeader('Connection', 'close');
    next();
  };
}
