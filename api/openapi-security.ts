// What the gate adds to every operation of the OpenAPI document: the key, the scope, and the answers to those without.

import type { OpenAPIRegistry, RouteConfig } from '@asteasolutions/zod-to-openapi';
import type { ProblemCode } from '../shared/problem.ts';
import { answersAnyway } from './acceptable.ts';
import { needOf } from './scopes.ts';

/** What registers operations. */
export type Paths = Pick<OpenAPIRegistry, 'registerPath'>;

/** The error answers of an operation, by their codes. */
export type Answers = (codes: readonly ProblemCode[]) => RouteConfig['responses'];

/**
 * Registers operations with the scope that they need.
 * @returns what registers operations whose errors come in the form of `answers`
 */
export function securePaths(registry: OpenAPIRegistry, auth: 'on' | 'off'): (answers: Answers) => Paths {
  const everywhere = (route: RouteConfig): readonly ProblemCode[] => [
    ...(answersAnyway(route.path) ? [] : (['not_acceptable'] as const)),
    'internal_error',
    ...(route.path.includes('{') ? (['malformed_request'] as const) : []),
  ];
  if (auth === 'off') {
    return (answers) => ({
      registerPath: (route) =>
        registry.registerPath({ ...route, responses: join(answers(everywhere(route)), route.responses) }),
    });
  }
  const key = registry.registerComponent('securitySchemes', 'key', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'soma_live_<id>_<secret><crc>',
    description: 'Needed where the server runs with `AUTH=on`. A key belongs to a tenant and has scopes.',
  });
  return (answers) => ({
    registerPath: (route) => {
      const need = needOf(route.method.toUpperCase(), route.path);
      if (need === 'open') {
        const responses = join(answers(everywhere(route)), route.responses);
        return registry.registerPath({ ...route, security: [], responses });
      }
      const codes: readonly ProblemCode[] = [
        ...everywhere(route),
        'ledger_unavailable',
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
        responses: join(answers(codes), route.responses),
      });
    },
  });
}

/** The answers of both; of a status that both have, the second, with what the first has to tell besides. */
function join(first: RouteConfig['responses'], second: RouteConfig['responses']): RouteConfig['responses'] {
  const joined = { ...first, ...second };
  for (const [status, told] of Object.entries(first)) {
    const own = second[status];
    if (own === undefined || '$ref' in own || '$ref' in told) continue;
    const more = (told.description ?? '').split('; ').filter((part) => !own.description?.includes(part));
    joined[status] = {
      ...own,
      description: [own.description, ...more].join('; '),
      content: { ...told.content, ...own.content },
    };
  }
  return joined;
}
