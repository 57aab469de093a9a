// Makes a profile of what is stored about a person, and ends the job that asked for it in the transaction that
// stores it: a profile exists if and only if its job succeeded.

import { completeJobs, type Claim } from '../db/attempts.ts';
import { asTenant, inTransaction, type Pool, type Reader } from '../db/client.ts';
import type { GraphStore } from '../db/graph.ts';
import { type AnalysisRow, insertProfile, listEmotions, listHistory } from '../db/users.ts';
import { communities } from '../models/analytics/graph-measures.ts';
import { buildProfile, type GraphSection, type Profile } from '../models/analytics/profile.ts';
import { profileOptionsSchema } from '../models/profile.ts';
import { uuidTime } from '../shared/job.ts';
import { metrics } from '../shared/metrics.ts';
import { z } from 'zod';

/** Analyses of a kind that a profile reads; the newest of the window. */
const analysesMax = 5000;
const edgesMax = 1000;
const dayMs = 86_400_000;

const reasoningSchema = z.looseObject({
  causal_chains: z.array(
    z.looseObject({
      cause: z.looseObject({ text: z.string() }),
      effect: z.looseObject({ text: z.string() }),
      relation: z.string(),
      chain_type: z.string(),
      strength: z.number(),
      confidence: z.number(),
    }),
  ),
  counterfactuals: z.array(z.unknown()),
});

interface Builder {
  readonly database: Pool;
  readonly graph: GraphStore;
  readonly worker: string;
}

/**
 * Builds and stores the profile that `claim` asks for.
 * @returns false if another attempt holds the job by now; nothing is stored then.
 * @throws the ledger's error
 */
export async function makeProfile(
  { database, graph, worker }: Builder,
  claim: Claim,
  now: Date,
): Promise<boolean> {
  const started = performance.now();
  const profile = await readProfile({ database, graph }, claim, now);
  const { tenantId, id, userId } = claim;
  const end = await inTransaction(database, async (tx) => {
    const version = await insertProfile(tx, { tenantId, userId: userId ?? '', jobId: id, profile });
    const [ended] = await completeJobs(tx, [
      {
        ...claim,
        results: [{ index: 0, output: JSON.stringify({ ...profile, version }) }],
        facts: [],
        timing: {
          batch_wait: 0,
          tokenize: 0,
          inference: Math.round((performance.now() - started) * 1000) / 1000,
        },
        execution: {
          attempt: claim.attempt,
          worker,
          device: 'cpu',
          pool_items: 1,
          micro_batch_items: 0,
          micro_batch_tokens: 0,
          padding_ratio: 1,
          flush_reason: 'idle',
          cache: 'none',
        },
      },
    ]);
    if (ended?.status === 'succeeded') return ended;
    await tx.query('DELETE FROM profiles WHERE tenant_id = $1 AND user_id = $2 AND version = $3', [
      tenantId,
      userId,
      version,
    ]);
    return ended;
  });
  if (end === undefined) return false;
  metrics.jobsFinished.inc({ kind: claim.kind, outcome: end.status });
  metrics.jobSeconds.observe({ kind: claim.kind }, end.seconds);
  return end.status === 'succeeded';
}

async function readProfile(
  { database, graph }: Omit<Builder, 'worker'>,
  claim: Claim,
  now: Date,
): Promise<Profile> {
  const options = profileOptionsSchema.parse(claim.options);
  const person = { tenantId: claim.tenantId, userId: claim.userId ?? '' };
  const window = { from: new Date(now.getTime() - options.time_window_days * dayMs), to: now };
  const read = <Row>(list: (reader: Reader) => Promise<Row[]>) => asTenant(database, person.tenantId, list);
  const range = { ...window, limit: analysesMax };
  const emotions = options.include_emotions
    ? await read((reader) => listEmotions(reader, person, range))
    : [];
  const reasoning = options.include_reasoning
    ? await read((reader) => listHistory(reader, person, { ...range, kind: 'reasoning' }))
    : [];
  // Oldest first, so that texts of one job, which have the same time, keep their order.
  return buildProfile({
    emotions: emotions.toReversed().map((row) => ({ ...row, ...origin(row) })),
    reasoning: reasoning.toReversed().flatMap(readReasoning),
    graph: options.include_knowledge_graph ? await readGraph(graph, person) : emptyGraph,
    include: {
      emotions: options.include_emotions,
      reasoning: options.include_reasoning,
      knowledge_graph: options.include_knowledge_graph,
    },
    window,
    generatedAt: now,
  });
}

function readReasoning(row: AnalysisRow) {
  const parsed = reasoningSchema.safeParse(row.output);
  return parsed.success ? [{ ...parsed.data, ...origin(row) }] : [];
}

function origin({ jobId, modelVersion }: { readonly jobId: string; readonly modelVersion: string }) {
  return { at: uuidTime(jobId), model_version: modelVersion };
}

const emptyGraph: GraphSection = {
  stats: { nodes: 0, edges: 0, nodes_by_type: {}, edges_by_type: {} },
  top_concepts: [],
  communities: [],
  modularity: null,
};

async function readGraph(
  graph: GraphStore,
  person: { tenantId: string; userId: string },
): Promise<GraphSection> {
  const stats = await graph.stats(person);
  const { edges } = await graph.subgraph({ ...person, limit: edgesMax });
  const found = communities(edges);
  return {
    stats: {
      nodes: stats.nodes,
      edges: stats.edges,
      nodes_by_type: stats.nodesByType,
      edges_by_type: stats.edgesByType,
    },
    top_concepts: stats.topConcepts.map(({ node, degree }) => ({ key: node.key, name: node.name, degree })),
    communities: found.communities.map(({ label, nodes }) => ({ label, nodes: [...nodes] })),
    modularity: found.communities.length === 0 ? null : found.modularity,
  };
}
