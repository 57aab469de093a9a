// An edge of a person's graph as clients see it: on the graph's own routes, on the former path, and in an export.

import { z } from 'zod';
import type { GraphEdge } from '../db/graph.ts';
import { factTypes } from '../shared/fact.ts';

export const edgeSchema = z.object({
  source: z.string(),
  target: z.string(),
  type: z.enum(factTypes),
  relation: z.string().nullable(),
  strength: z.number().describe('Mean over the evidence, 0..1'),
  evidence_count: z.int(),
  analyses: z.array(z.string()).describe('The newest 20 sources, <job>:<item>'),
  first_at: z.iso.datetime(),
  last_at: z.iso.datetime(),
});

export function toEdgeView(edge: GraphEdge): z.output<typeof edgeSchema> {
  return {
    source: edge.source,
    target: edge.target,
    type: edge.type,
    relation: edge.relation,
    strength: edge.strength,
    evidence_count: edge.evidenceCount,
    analyses: [...edge.analyses],
    first_at: edge.firstAt.toISOString(),
    last_at: edge.lastAt.toISOString(),
  };
}
