// What the gate adds to every operation of the OpenAPI document: the key, the scope, and the answers to those without.

import type { OpenAPIRegistry, RouteConfig } from '@asteasolutions/zod-to-openapi';
import type { ProblemCode } from '../shared/problem.ts';
import { needOf } from './scopes.ts';

/** What registers operations. */
export type Paths = Pick<OpenAPIRegistry, 'registerPath'>;

/**
 * Registers operations with the scope that they need.
 * @param answers the problem answers of an operation, by their codes
 */
export function securePaths(
  registry: OpenAPIRegistry,
  answers: (codes: readonly ProblemCode[]) => RouteConfig['responses'],
): Paths {
  const key = registry.registerComponent('securitySchemes', 'key', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'soma_live_<id>_<secret><crc>',
    description: 'Needed where the server runs with `AUTH=on`. A key belongs to a tenant and has scopes.',
  });
  return {
    registerPath: (route) => {
      const need = needOf(route.method.toUpperCase(), route.path);
      if (need === 'open') return registry.registerPath({ ...route, security: [] });
      const codes: readonly ProblemCode[] = [
        'unauthenticated',
        'invalid_key',
        'insufficient_scope',
        'rate_limited',
      ];
      const scopes = need === 'key' ? [] : [need];
      const scope = need === 'key' ? [] : [`Needs the scope \`${need}\`.`];
      registry.registerPath({
        ...route,
        description: [route.description, ...scope].filter((part) => part !== undefined).join('\n\n'),
        security: [{ [key.name]: scopes }],
        responses: { ...answers(codes), ...route.responses },
      });
    },
  };
}
