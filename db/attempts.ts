// What a worker writes: claims, leases, results. Each write is one statement and so one transaction, and matches the
// attempt that was claimed, which fences off all others.

import { z } from 'zod';
import type { Fact } from '../shared/fact.ts';
import { packUuid } from '../shared/job.ts';
import type { Tx } from './client.ts';
import { jobsChannel, progressChannel } from './jobs.ts';
import { run } from './run.ts';

/**
 * The row of `x`, a relation in the order of `id`, locked: joined for what it is by its key, and looked at afterwards.
 * With the states among the conditions the planner may take an index of one state, read all of it, and with it the dead
 * entries of every job that was in that state since the last vacuum.
 */
const lockedJob = `LATERAL (SELECT * FROM jobs WHERE tenant_id = x.tenant_id AND id = x.id LIMIT 1 FOR UPDATE) AS j`;

/** The jobs that a worker says it holds, as `lockedJob` wants them. */
const heldList = `(SELECT "tenantId" AS tenant_id, id, attempt
      FROM json_to_recordset($1) AS held("tenantId" uuid, id uuid, attempt integer) ORDER BY id) AS x`;

const isHeld = `j.attempt = x.attempt AND j.status IN ('processing', 'canceling')`;

const startJobsSql = `
WITH claimable AS MATERIALIZED (
  SELECT j.tenant_id, j.id FROM (
      SELECT * FROM unnest($1::uuid[], $6::uuid[], $7::uuid[]) AS x(tenant_id, id, dispatch_id) ORDER BY id) AS x,
    ${lockedJob}
  WHERE j.dispatch_id = x.dispatch_id AND (j.status = 'queued' OR (j.status = 'processing' AND j.lease_until < now()))
    AND (j.deadline_at IS NULL OR j.deadline_at > now() + make_interval(secs => $8::float8 / 1000)) AND j.attempt < $4
), claimed AS (
  UPDATE jobs j SET
    status = 'processing', attempt = j.attempt + 1, worker = $2, started_at = coalesce(j.started_at, now()),
    lease_until = now() + make_interval(secs => $3::float8 / 1000), event_sequence = j.event_sequence + 1,
    attempts = j.attempts || jsonb_build_object('number', j.attempt + 1, 'started_at', now(), 'worker', $2::text)
  FROM claimable c WHERE j.tenant_id = c.tenant_id AND j.id = c.id AND j.id = ANY(ARRAY(SELECT id FROM claimable))
  RETURNING j.tenant_id, j.id, j.attempt, j.kind, j.model_version, j.options, j.user_id, j.event_sequence,
    j.deadline_at, extract(epoch FROM now() - j.created_at)::float8 * 1000 AS queue_ms
), started AS (
  INSERT INTO job_events (tenant_id, job_id, sequence, type, data, at)
  SELECT tenant_id, id, event_sequence, 'job.started', jsonb_build_object('attempt', attempt), now() FROM claimed
)
SELECT c.tenant_id AS "tenantId", c.id, c.attempt, c.kind, c.model_version AS "modelVersion", c.options,
  c.user_id AS "userId", c.deadline_at AS "deadlineAt", c.queue_ms AS "queueMs",
  ARRAY(SELECT i.text FROM items i WHERE i.tenant_id = c.tenant_id AND i.job_id = c.id ORDER BY i.index) AS texts,
  (SELECT count(pg_notify('${progressChannel}', payload)) FROM unnest($5::text[]) AS payload)
FROM claimed c`;

const claimSchema = z.object({
  tenantId: z.string(),
  id: z.string(),
  attempt: z.number(),
  kind: z.string(),
  modelVersion: z.string(),
  options: z.record(z.string(), z.unknown()),
  userId: z.string().nullable(),
  deadlineAt: z.date().nullable(),
  queueMs: z.number(),
  texts: z.array(z.string()),
});

/** A job that this worker now holds: until its lease ends, no other attempt can write its result. */
export type Claim = Readonly<z.infer<typeof claimSchema>>;

const claimRows = z.array(claimSchema);

/**
 * Claims those of the dispatched jobs that still want work, as attempt n+1, under a lease of `leaseMs`.
 * Absent: terminal or canceled jobs, jobs whose deadline comes within `slackMs`, jobs that a live worker holds, jobs that were
 * dispatched again under another id, and jobs without an attempt left.
 */
export async function startJobs(
  tx: Tx,
  args: {
    readonly jobs: readonly { readonly tenantId: string; readonly id: string; readonly dispatchId: string }[];
    readonly worker: string;
    readonly leaseMs: number;
    readonly attemptsMax: number;
    /** How long the work will take, at least. */
    readonly slackMs?: number;
  },
): Promise<Claim[]> {
  const { jobs, worker, leaseMs, attemptsMax, slackMs = 0 } = args;
  const rows = await run(tx, 'start_jobs', startJobsSql, [
    jobs.map(({ tenantId }) => tenantId),
    worker,
    leaseMs,
    attemptsMax,
    wakeUps(jobs),
    jobs.map(({ id }) => id),
    jobs.map(({ dispatchId }) => dispatchId),
    slackMs,
  ]);
  return claimRows.parse(rows);
}

const heldRows = z.array(z.object({ id: z.string(), status: z.enum(['processing', 'canceling']) }));

/** Prolongs the leases of jobs in hand. @returns the states of those still held, by id; an absent one was lost. */
export async function renewLeases(
  tx: Tx,
  held: readonly { readonly tenantId: string; readonly id: string; readonly attempt: number }[],
  leaseMs: number,
): Promise<Map<string, 'processing' | 'canceling'>> {
  const rows = await run(
    tx,
    'renew_leases',
    `WITH held AS MATERIALIZED (
       SELECT j.tenant_id, j.id FROM ${heldList}, ${lockedJob} WHERE ${isHeld})
     UPDATE jobs j SET lease_until = now() + make_interval(secs => $2::float8 / 1000)
     FROM held h WHERE j.tenant_id = h.tenant_id AND j.id = h.id AND j.id = ANY(ARRAY(SELECT id FROM held))
     RETURNING j.id, j.status`,
    [JSON.stringify(held), leaseMs],
  );
  return new Map(heldRows.parse(rows).map((row) => [row.id, row.status]));
}

/** What one item of a job came to: an output of the kind's schema as JSON text, or an error. */
export type ItemResult =
  | { readonly index: number; readonly output: string; readonly error?: never }
  | { readonly index: number; readonly error: ItemError; readonly output?: never };

export interface ItemError {
  readonly code: string;
  readonly detail: string;
}

/** A fact with its place: the item that states it, and its number there. */
export interface StatedFact extends Fact {
  readonly itemIndex: number;
  readonly ordinal: number;
}

/** A finished attempt. `timing` holds the worker's stages in milliseconds; the view adds the others (api/timeline.ts). */
export interface Completion {
  readonly tenantId: string;
  readonly id: string;
  readonly attempt: number;
  readonly kind: string;
  readonly modelVersion: string;
  readonly userId: string | null;
  /** One for each item, in the order of the items. */
  readonly results: readonly ItemResult[];
  /** What the results state about the person; kept only if the job has a user. */
  readonly facts: readonly StatedFact[];
  readonly timing: { readonly batch_wait: number; readonly tokenize: number; readonly inference: number };
  readonly execution: Readonly<Record<string, unknown>>;
  /** That the deadline came before the model was done with it: it ends as expired, without a result. */
  readonly expired?: boolean;
}

/** What stands between the texts of two items, and between those of two jobs: JSON text has no control character. */
const betweenItems = '\x1e';
const betweenJobs = '\x1d';

// A job that was canceled or erased meanwhile ends as canceled and keeps no result.
// Columns come as arrays and outputs as joined texts: read as one JSON document, an output was parsed three times.
const completeJobsSql = `
WITH held AS MATERIALIZED (
  SELECT j.tenant_id, j.id, j.kind, j.model_version, j.user_id, j.status = 'canceling' AS canceling,
    j.user_id IS NOT NULL AND EXISTS (
      SELECT 1 FROM erasures e WHERE e.tenant_id = j.tenant_id AND e.user_id = j.user_id
        AND e.last_job_id >= j.id) OR EXISTS (
      SELECT 1 FROM erasures e WHERE e.tenant_id = j.tenant_id AND e.job_id = j.id) AS erased,
    clock_timestamp() AS ended_at, x.succeeded, x.failed, x.expired, x.batch_wait, x.tokenize, x.inference,
    x.execution, x.outputs, x.errors, x.facts
  FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::boolean[], $7::numeric[],
      $8::numeric[], $9::numeric[], string_to_array($10, '${betweenJobs}'), string_to_array($11, '${betweenJobs}'),
      string_to_array($12, '${betweenJobs}'), string_to_array($13, '${betweenJobs}'))
    AS x(tenant_id, id, attempt, succeeded, failed, expired, batch_wait, tokenize, inference, execution, outputs,
      errors, facts) ORDER BY id) AS x, ${lockedJob}
  WHERE ${isHeld}
), verdict AS MATERIALIZED (
  SELECT *, CASE WHEN canceling OR erased THEN 'canceled' WHEN expired THEN 'expired'
    WHEN succeeded = 0 THEN 'failed' ELSE 'succeeded' END AS status
  FROM held
), ended AS (
  UPDATE jobs j SET
    status = v.status, ended_at = v.ended_at,
    options = CASE WHEN j.store_input THEN j.options ELSE j.options - 'context_messages' END, lease_until = NULL, dispatch_id = NULL, event_sequence = j.event_sequence + 1,
    status_reason = CASE WHEN v.erased THEN 'erased' WHEN v.canceling THEN 'canceled_by_client'
      WHEN v.expired THEN 'deadline_passed' END,
    succeeded_count = CASE WHEN v.status IN ('canceled', 'expired') THEN 0 ELSE v.succeeded END,
    failed_count = CASE WHEN v.status IN ('canceled', 'expired') THEN 0 ELSE v.failed END,
    error = CASE WHEN v.status = 'failed' THEN nullif(split_part(v.errors, '${betweenItems}', 1), '')::jsonb END,
    execution = v.execution::jsonb,
    attempts = jsonb_set(j.attempts, ARRAY[(jsonb_array_length(j.attempts) - 1)::text],
      (j.attempts->-1) || jsonb_build_object('ended_at', v.ended_at, 'outcome', v.status)),
    timing = jsonb_build_object('batch_wait', v.batch_wait, 'tokenize', v.tokenize, 'inference', v.inference)
  FROM verdict v WHERE j.tenant_id = v.tenant_id AND j.id = v.id AND j.id = ANY(ARRAY(SELECT id FROM verdict))
  RETURNING j.tenant_id, j.id, j.status, j.event_sequence, j.ended_at, j.store_input, j.created_at
), stored AS (
  INSERT INTO analyses (tenant_id, job_id, item_index, kind, model_version, user_id, output, error, created_at,
    valence, arousal, intensity, primary_emotion)
  SELECT v.tenant_id, v.id, r.place - 1, v.kind, v.model_version, v.user_id, nullif(r.output, '')::json,
    nullif(r.error, '')::jsonb, v.ended_at, emotion.*
  FROM verdict v, unnest(string_to_array(v.outputs, '${betweenItems}'), string_to_array(v.errors, '${betweenItems}'))
    WITH ORDINALITY AS r(output, error, place),
    json_to_record(CASE WHEN v.kind = 'emotion' AND v.user_id IS NOT NULL THEN nullif(r.output, '')::json END)
      AS emotion(valence float8, arousal float8, intensity float8, primary_emotion text)
  WHERE v.status NOT IN ('canceled', 'expired')
), stated AS MATERIALIZED (
  SELECT v.tenant_id, v.id, v.user_id, v.ended_at, f.*
  FROM verdict v, json_to_recordset(nullif(v.facts, '')::json) AS f("itemIndex" integer, ordinal integer, type text, source text,
    target text, relation text, "strengthPpm" integer)
  WHERE v.status NOT IN ('canceled', 'expired') AND v.user_id IS NOT NULL
), facts_kept AS (
  INSERT INTO facts (tenant_id, job_id, item_index, ordinal, user_id, type, source, target, relation, strength_ppm, at)
  SELECT tenant_id, id, "itemIndex", ordinal, user_id, type, source, target, relation, "strengthPpm", ended_at FROM stated
), nodes AS (
  INSERT INTO graph_nodes (tenant_id, user_id, key, type, name)
  SELECT DISTINCT tenant_id, user_id, key, split_part(key, ':', 1), substr(key, strpos(key, ':') + 1)
  FROM stated, LATERAL (VALUES (source), (target)) AS ends(key) ORDER BY 1, 2, 3
  -- Never true: the nodes are only locked, so that none goes while an edge to it comes (db/facts.ts).
  ON CONFLICT (tenant_id, user_id, key) DO UPDATE SET name = excluded.name WHERE false
  RETURNING 1
), edges AS (
  INSERT INTO graph_edges AS g (tenant_id, user_id, type, source, target, relation, evidence_count, strength_ppm, analyses,
    first_at, last_at)
  SELECT tenant_id, user_id, type, source, target, min(relation COLLATE "C"), count(*), sum("strengthPpm"),
    (array_agg(DISTINCT (id || ':' || "itemIndex") COLLATE "C" ORDER BY (id || ':' || "itemIndex") COLLATE "C" DESC))[1:20],
    min(ended_at), max(ended_at)
  -- Always true: it lets the nodes be locked first. Left to itself, Postgres runs the last of these steps first.
  FROM stated WHERE (SELECT count(*) FROM nodes) >= 0 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
  ON CONFLICT (tenant_id, user_id, type, source, target) DO UPDATE SET
    evidence_count = g.evidence_count + excluded.evidence_count, strength_ppm = g.strength_ppm + excluded.strength_ppm,
    relation = least(g.relation, excluded.relation), first_at = least(g.first_at, excluded.first_at),
    last_at = greatest(g.last_at, excluded.last_at), version = g.version + 1, changed_at = now(),
    analyses = ARRAY(SELECT DISTINCT a FROM unnest(g.analyses || excluded.analyses) AS a ORDER BY a DESC LIMIT 20)
), forgotten AS (
  UPDATE items i SET text = NULL FROM ended e
  WHERE NOT e.store_input AND i.tenant_id = e.tenant_id AND i.job_id = e.id
), told AS (
  INSERT INTO job_events (tenant_id, job_id, sequence, type, at)
  SELECT tenant_id, id, event_sequence, 'job.' || status, ended_at FROM ended
), notified AS (
  SELECT count(pg_notify('${jobsChannel}', payload)) FROM unnest($14::text[]) AS payload
)
SELECT id, status, extract(epoch FROM ended_at - created_at)::float8 AS seconds, (SELECT count FROM notified) FROM ended`;

const completedRows = z.array(
  z.object({
    id: z.string(),
    status: z.enum(['succeeded', 'failed', 'canceled', 'expired']),
    seconds: z.number(),
  }),
);

/**
 * Ends jobs: state, analyses, the terminal event and the wake-up of whoever waits, in one statement.
 * A job is absent from the answer if another attempt holds it or it is already terminal; nothing of it is written.
 */
export async function completeJobs(
  tx: Tx,
  completions: readonly Completion[],
): Promise<z.infer<typeof completedRows>> {
  const counts = completions.map(({ results }) => {
    const failed = results.filter(({ error }) => error !== undefined).length;
    return { failed, succeeded: results.length - failed };
  });
  const rows = await run(tx, 'complete_jobs', completeJobsSql, [
    completions.map(({ tenantId }) => tenantId),
    completions.map(({ id }) => id),
    completions.map(({ attempt }) => attempt),
    counts.map(({ succeeded }) => succeeded),
    counts.map(({ failed }) => failed),
    completions.map(({ expired }) => expired ?? false),
    completions.map(({ timing }) => timing.batch_wait),
    completions.map(({ timing }) => timing.tokenize),
    completions.map(({ timing }) => timing.inference),
    completions.map(({ execution }) => JSON.stringify(execution)).join(betweenJobs),
    completions.map(joinOutputs).join(betweenJobs),
    completions.map(joinErrors).join(betweenJobs),
    completions.map(joinFacts).join(betweenJobs),
    wakeUps(completions),
  ]);
  return completedRows.parse(rows);
}

function joinOutputs({ results }: Completion): string {
  return results.map(({ output = '' }) => output).join(betweenItems);
}

/** Empty where every item succeeded. */
function joinErrors({ results }: Completion): string {
  if (results.every(({ error }) => error === undefined)) return '';
  return results.map(({ error }) => (error === undefined ? '' : JSON.stringify(error))).join(betweenItems);
}

function joinFacts({ facts }: Completion): string {
  if (facts.length === 0) return '';
  return JSON.stringify(facts.map((fact) => ({ ...fact, strengthPpm: Math.round(fact.strength * 1e6) })));
}

/** Notification payloads that name the jobs; 340 ids of 23 bytes stay below the 8,000 bytes of a payload. */
function wakeUps(named: readonly { readonly id: string }[]): string[] {
  const packed = named.map(({ id }) => packUuid(id));
  return Array.from({ length: Math.ceil(packed.length / 340) }, (_, page) =>
    packed.slice(page * 340, (page + 1) * 340).join(','),
  );
}

const movedRows = z.array(z.object({ id: z.string(), status: z.string() }));

/**
 * Puts held jobs back for another attempt after `delayMs` (the ledger keeps the time, never the queue).
 * Jobs without an attempt left fail with `error`. @returns how many were put back and which failed.
 */
export async function retryJobs(
  tx: Tx,
  held: readonly { readonly tenantId: string; readonly id: string; readonly attempt: number }[],
  args: { readonly delayMs: number; readonly attemptsMax: number; readonly error: ItemError },
): Promise<{ id: string; status: string }[]> {
  const rows = await run(tx, 'retry_jobs', retryJobsSql, [
    JSON.stringify(held),
    args.delayMs,
    args.attemptsMax,
    JSON.stringify(args.error),
    wakeUps(held),
  ]);
  return movedRows.parse(rows);
}

const retryJobsSql = `
WITH held AS MATERIALIZED (
  SELECT j.tenant_id, j.id, CASE WHEN j.status = 'canceling' THEN 'canceled'
      WHEN j.attempt >= $3 THEN 'failed' WHEN $2 > 0 THEN 'scheduled' ELSE 'queued' END AS next
  FROM ${heldList}, ${lockedJob} WHERE ${isHeld}
), moved AS (
  UPDATE jobs j SET status = h.next, dispatch_id = NULL, lease_until = NULL, event_sequence = j.event_sequence + 1,
    not_before = CASE WHEN h.next = 'scheduled' THEN now() + make_interval(secs => $2::float8 / 1000) ELSE j.not_before END,
    ended_at = CASE WHEN h.next IN ('failed', 'canceled') THEN clock_timestamp() END,
    error = CASE WHEN h.next = 'failed' THEN $4::jsonb END,
    failed_count = CASE WHEN h.next = 'failed' THEN j.item_count ELSE 0 END,
    options = CASE WHEN NOT j.store_input AND h.next IN ('failed', 'canceled') THEN j.options - 'context_messages' ELSE j.options END,
    attempts = jsonb_set(j.attempts, ARRAY[(jsonb_array_length(j.attempts) - 1)::text],
      (j.attempts->-1) || jsonb_build_object('ended_at', now(), 'outcome', 'retry', 'error', $4::jsonb))
  FROM held h WHERE j.tenant_id = h.tenant_id AND j.id = h.id AND j.id = ANY(ARRAY(SELECT id FROM held))
  RETURNING j.tenant_id, j.id, j.status, j.event_sequence, j.store_input
), forgotten AS (
  UPDATE items i SET text = NULL FROM moved m
  WHERE NOT m.store_input AND m.status IN ('failed', 'canceled') AND i.tenant_id = m.tenant_id AND i.job_id = m.id
), told AS (
  INSERT INTO job_events (tenant_id, job_id, sequence, type, data, at)
  SELECT tenant_id, id, event_sequence, CASE WHEN status IN ('queued', 'scheduled') THEN 'job.retrying' ELSE 'job.' || status END,
    jsonb_build_object('error', $4::jsonb), now() FROM moved
)
SELECT id, status, (SELECT count(pg_notify('${jobsChannel}', payload)) FROM unnest($5::text[]) AS payload) FROM moved`;
