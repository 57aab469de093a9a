// An edge with all that a copy of the graph must hold, and the checksum by which two copies are compared. The checksum
// is a sum of hashes, so the order in which a store gives its rows does not matter.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { factTypes } from '../shared/fact.ts';

/** Absolute values: written twice, they are there once. Moments are microseconds since 1970. */
export const copiedEdge = z.object({
  tenant_id: z.string(),
  user_id: z.string(),
  type: z.enum(factTypes),
  source: z.string(),
  target: z.string(),
  relation: z.string().nullable(),
  evidence_count: z.number(),
  strength_ppm: z.coerce.number(),
  analyses: z.array(z.string()),
  first_us: z.coerce.number(),
  last_us: z.coerce.number(),
});

export type CopiedEdge = Readonly<z.infer<typeof copiedEdge>>;

export const copiedNode = z.object({ tenant_id: z.string(), user_id: z.string(), key: z.string() });

export type CopiedNode = Readonly<z.infer<typeof copiedNode>>;

export interface GraphChecksum {
  readonly nodes: number;
  readonly edges: number;
  /** 32 hexadecimal digits. */
  readonly checksum: string;
}

/** Sums up a graph row by row, in any order. */
export function createChecksum(): {
  readonly addNode: (node: CopiedNode) => void;
  readonly addEdge: (edge: CopiedEdge) => void;
  readonly result: () => GraphChecksum;
} {
  let [nodes, edges, sum] = [0, 0, 0n];
  const add = (row: readonly unknown[]) => {
    const digest = createHash('sha256').update(JSON.stringify(row)).digest('hex');
    sum = BigInt.asUintN(128, sum + BigInt(`0x${digest.slice(0, 32)}`));
  };
  return {
    addNode: (node) => {
      nodes++;
      add([node.tenant_id, node.user_id, node.key]);
    },
    addEdge: (edge) => {
      edges++;
      const ends = [edge.tenant_id, edge.user_id, edge.type, edge.source, edge.target];
      const evidence = [edge.relation, edge.evidence_count, edge.strength_ppm, edge.analyses];
      add([...ends, ...evidence, edge.first_us, edge.last_us]);
    },
    result: () => ({ nodes, edges, checksum: sum.toString(16).padStart(32, '0') }),
  };
}
