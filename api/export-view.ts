// The export of everything that is stored about a person: one JSON object a line, so that it is written and read piece
// by piece however much there is. The last line says that nothing is missing.

import { z } from 'zod';
import { asTenant, type Reader } from '../db/client.ts';
import {
  getFirstSeen,
  listEdges,
  listNodes,
  listProfiles,
  listStoredJobs,
  type StoredJob,
} from '../db/export-person.ts';
import type { PersonName } from '../db/users.ts';
import { factTypes } from '../shared/fact.ts';
import type { Context } from './context.ts';
import { edgeSchema, toEdgeView } from './edge-view.ts';
import { jobViewSchema, toJobView } from './job-view.ts';

const nodeSchema = z.object({ key: z.string(), type: z.string(), name: z.string() });

/** The lines of an export, in the order in which they come. */
export const exportLineSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('person'),
    user_id: z.string(),
    first_seen_at: z.iso.datetime().nullable(),
    exported_at: z.iso.datetime(),
  }),
  z.object({
    type: z.literal('job'),
    job: jobViewSchema.describe('With the analyses of its texts in `result`'),
    options: z.record(z.string(), z.unknown()),
    texts: z.array(z.string().nullable()).describe('In input order; null where a text was not to be stored'),
    lines: z
      .array(
        z.object({
          item_index: z.int(),
          index: z.int().describe('The place in the batch'),
          custom_id: z.string().nullable(),
          metadata: z.record(z.string(), z.string()).nullable(),
        }),
      )
      .describe('Of a job of a batch (`job.batch_id`): the lines that its texts were; else empty'),
    events: z.array(
      z.object({
        sequence: z.int(),
        type: z.string(),
        at: z.iso.datetime(),
        data: z.record(z.string(), z.unknown()),
      }),
    ),
    facts: z
      .array(
        z.object({
          item_index: z.int(),
          type: z.enum(factTypes),
          source: z.string(),
          target: z.string(),
          relation: z.string().nullable(),
          strength: z.number(),
        }),
      )
      .describe('What the analyses state, of which the graph is made'),
  }),
  z.object({
    type: z.literal('profile'),
    version: z.int(),
    job_id: z.string(),
    created_at: z.iso.datetime(),
    profile: z.record(z.string(), z.unknown()),
  }),
  z.object({ type: z.literal('node'), node: nodeSchema }),
  z.object({ type: z.literal('edge'), edge: edgeSchema }),
  z.object({
    type: z.literal('end'),
    counts: z
      .object({ jobs: z.int(), texts: z.int(), profiles: z.int(), nodes: z.int(), edges: z.int() })
      .describe('Without this line the export was cut off'),
  }),
]);

export type ExportLine = z.output<typeof exportLineSchema>;

const objectSchema = z.record(z.string(), z.unknown());
const factType = z.enum(factTypes);

/** The lines one after another, each group read when the one before it is gone. */
export async function* exportLines(
  context: Context,
  person: PersonName,
  now: Date,
): AsyncGenerator<ExportLine> {
  const counts = { jobs: 0, texts: 0, profiles: 0, nodes: 0, edges: 0 };
  const read = <Row>(list: (reader: Reader) => Promise<Row>) =>
    asTenant(context.readers, person.tenantId, list);
  const firstSeen = await read((reader) => getFirstSeen(reader, person));
  yield {
    type: 'person',
    user_id: person.userId,
    first_seen_at: firstSeen?.toISOString() ?? null,
    exported_at: now.toISOString(),
  };
  for await (const stored of each<StoredJob>((last) =>
    read((reader) => listStoredJobs(reader, person, last?.job.id)),
  )) {
    counts.jobs += 1;
    counts.texts += stored.texts.length;
    yield toJobLine(stored);
  }
  for await (const row of each<Awaited<ReturnType<typeof listProfiles>>[number]>((last) =>
    read((reader) => listProfiles(reader, person, last?.version)),
  )) {
    counts.profiles += 1;
    yield {
      type: 'profile',
      version: row.version,
      job_id: `job_${row.jobId}`,
      created_at: row.createdAt.toISOString(),
      profile: objectSchema.parse(row.profile),
    };
  }
  for await (const node of each<z.infer<typeof nodeSchema>>((last) =>
    read((reader) => listNodes(reader, person, last?.key)),
  )) {
    counts.nodes += 1;
    yield { type: 'node', node };
  }
  for await (const edge of each<Awaited<ReturnType<typeof listEdges>>[number]>((last) =>
    read((reader) => listEdges(reader, person, last)),
  )) {
    counts.edges += 1;
    yield { type: 'edge', edge: toEdgeView(edge) };
  }
  yield { type: 'end', counts };
}

/** What `list` returns, page after page, each asked for behind the last row of the one before. */
async function* each<Row>(list: (last: Row | undefined) => Promise<readonly Row[]>): AsyncGenerator<Row> {
  for (let page = await list(undefined); page.length > 0; page = await list(page.at(-1))) yield* page;
}

function toJobLine({ job, texts, results, events, facts, lines }: StoredJob): ExportLine {
  return {
    type: 'job',
    job: toJobView(job, results),
    options: objectSchema.parse(job.options),
    texts: [...texts],
    lines: lines.map(({ itemIndex, index, customId, metadata }) => ({
      item_index: itemIndex,
      index,
      custom_id: customId,
      metadata,
    })),
    events: events.map(({ sequence, type, at, data }) => ({
      sequence,
      type,
      at: at.toISOString(),
      data: objectSchema.parse(data),
    })),
    facts: facts.map((fact) => ({
      item_index: fact.itemIndex,
      type: factType.parse(fact.type),
      source: fact.source,
      target: fact.target,
      relation: fact.relation,
      strength: fact.strengthPpm / 1e6,
    })),
  };
}
