// The OpenAPI document and a page to read it, served from disk: nothing is fetched from anywhere else.

import express, { type RequestHandler, Router } from 'express';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { problemCatalogue } from '../../shared/problem.ts';
import { refuseMethod } from '../problem-handler.ts';

// Everything the page loads is under /docs; the inline part is the one line of script that starts Swagger UI.
const pagePolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self'";

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Soma API</title>
    <link rel="stylesheet" href="/docs/assets/swagger-ui.css">
    <link rel="icon" href="/docs/assets/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/assets/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const script =
  "SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null, tryItOutEnabled: true });\n";

/** @param document what `/openapi.json` is */
export function docsRoutes(document: object): Router {
  const router = Router({ caseSensitive: true });
  const assets = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  const get = (path: string, answer: RequestHandler): void => {
    router.route(path).get(answer).all(refuseMethod('GET'));
  };
  get('/openapi.json', (_request, response) => {
    response.json(document);
  });
  get('/docs', (_request, response) => {
    response.setHeader('Content-Security-Policy', pagePolicy);
    response.type('html').send(page);
  });
  get('/docs/start.js', (_request, response) => {
    response.type('js').send(script);
  });
  get('/docs/problems', (_request, response) => {
    response.type('html').send(problemsPage());
  });
  router.use('/docs/assets', express.static(assets, { index: false, maxAge: '1d' }));
  return router;
}

function problemsPage(): string {
  const rows = Object.entries(problemCatalogue)
    .map(
      ([code, { status, title, retryable }]) =>
        `<tr id="${code}"><td>${status}</td><td><code>${code}</code></td><td>${title}</td><td>${retryable ? 'yes' : 'no'}</td></tr>`,
    )
    .join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Soma problems</title></head>
<body><h1>Problems</h1>
<table><tr><th>Status</th><th>Code</th><th>Meaning</th><th>May succeed later</th></tr>
${rows}
</table></body></html>
`;
}
