// What a client sees of a person's graph, and of what is computed from it.

import { z } from 'zod';
import { edgeSchema } from './edge-view.ts';

const ofPerson = z.object({ user_id: z.string() });
const nodeSchema = z.object({
  key: z.string(),
  type: z.string().meta({ example: 'concept' }),
  name: z.string().meta({ example: 'rain' }),
});
const truncated = z.boolean().describe('Whether the graph is larger than what was looked at');
const strength = z.number().describe('Product of the strengths along the way, 0..1');
const nodeKeys = z.array(z.string());

export const graphSchema = ofPerson.extend({
  nodes: z.array(nodeSchema),
  edges: z.array(edgeSchema),
  truncated: z.boolean(),
});

export const pathsSchema = ofPerson.extend({
  paths: z.array(z.object({ nodes: nodeKeys, strength: z.number(), edges: z.array(edgeSchema) })),
  explanation: z.object({
    exists: z.boolean(),
    direct: z.boolean(),
    path_count: z.int(),
    strongest: z.object({ nodes: nodeKeys, strength }).nullable(),
    mediators: z.array(z.object({ node: z.string(), paths: z.int() })),
    truncated,
  }),
  confounders: z.object({
    confounders: z.array(z.object({ node: z.string(), direct: z.boolean(), strength })),
    truncated,
  }),
});

export const searchSchema = ofPerson.extend({ nodes: z.array(nodeSchema) });

export const neighboursSchema = ofPerson.extend({
  neighbours: z.array(z.object({ node: nodeSchema, direction: z.enum(['in', 'out']), edge: edgeSchema })),
});

export const statsSchema = ofPerson.extend({
  store: z.enum(['postgres', 'neo4j']).describe('Which store answered'),
  nodes: z.int(),
  edges: z.int(),
  nodes_by_type: z.record(z.string(), z.int()),
  edges_by_type: z.record(z.string(), z.int()),
  top_concepts: z.array(z.object({ node: nodeSchema, degree: z.int() })),
});

export const communitiesSchema = ofPerson.extend({
  communities: z.array(z.object({ label: z.string(), nodes: nodeKeys })).describe('Largest first'),
  modularity: z.number().describe('Of the whole division, -0.5..1'),
  truncated,
});

export const contradictionsSchema = ofPerson.extend({
  contradictions: z.array(
    z.object({ type: z.enum(['mutual_causation', 'causal_cycle']), nodes: nodeKeys, strength }),
  ),
  truncated,
});

export const whatIfSchema = ofPerson.extend({
  effects: z.array(
    z.object({
      node: z.string(),
      estimate: z.number().describe('Estimated change, -1..1'),
      paths: z.int(),
      strongest: nodeKeys,
    }),
  ),
  assumptions: z.array(z.string()),
  truncated,
});

export const formerGraphSchema = graphSchema.omit({ truncated: true });
