// JSON as an answer, written straight to the socket: Express's own way looks at freshness, types and entity tags that
// are settled here already.

import type { Response } from 'express';

export function sendJson(response: Response, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(body);
}
