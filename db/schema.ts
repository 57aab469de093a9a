// The ledger's tables as the typed reads see them. The migrations make them; a live test holds the two equal.

import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });
const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

export const tenants = pgTable('tenants', {
  id: uuid('id').primaryKey(),
  name: text('name').notNull(),
  createdAt: moment('created_at').notNull(),
  tier: text('tier').notNull(),
  anomalyFlags: boolean('anomaly_flags').notNull(),
  itemsInFlightMax: integer('items_in_flight_max'),
});

export const apiKeys = pgTable('api_keys', {
  id: text('id').primaryKey(),
  tenantId: uuid('tenant_id').notNull(),
  hash: bytea('hash').notNull(),
  scopes: text('scopes').array().notNull(),
  createdAt: moment('created_at').notNull(),
  revokedAt: moment('revoked_at'),
  expiresAt: moment('expires_at'),
  lastUsedAt: moment('last_used_at'),
});

export const jobs = pgTable(
  'jobs',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid('id').notNull(),
    kind: text('kind').notNull(),
    modelVersion: text('model_version').notNull(),
    modelDigest: text('model_digest').notNull(),
    class: smallint('class').notNull(),
    status: text('status').notNull(),
    statusReason: text('status_reason'),
    userId: text('user_id'),
    customId: text('custom_id'),
    metadata: jsonb('metadata').notNull(),
    tags: text('tags').array().notNull(),
    options: jsonb('options').notNull(),
    storeInput: boolean('store_input').notNull(),
    retryOf: uuid('retry_of'),
    itemCount: integer('item_count').notNull(),
    characterCount: integer('character_count').notNull(),
    succeededCount: integer('succeeded_count').notNull(),
    failedCount: integer('failed_count').notNull(),
    attempt: integer('attempt').notNull(),
    attempts: jsonb('attempts').notNull(),
    leaseUntil: moment('lease_until'),
    worker: text('worker'),
    dispatchId: uuid('dispatch_id'),
    dispatchedAt: moment('dispatched_at'),
    notBefore: moment('not_before'),
    deadlineAt: moment('deadline_at'),
    cancelRequestedAt: moment('cancel_requested_at'),
    eventSequence: integer('event_sequence').notNull(),
    timing: jsonb('timing'),
    execution: jsonb('execution'),
    error: jsonb('error'),
    createdAt: moment('created_at').notNull(),
    queuedAt: moment('queued_at'),
    startedAt: moment('started_at'),
    endedAt: moment('ended_at'),
    expiresAt: moment('expires_at').notNull(),
    batchId: uuid('batch_id'),
    batchCounted: boolean('batch_counted').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.id] })],
);

export const items = pgTable(
  'items',
  {
    tenantId: uuid('tenant_id').notNull(),
    jobId: uuid('job_id').notNull(),
    index: integer('index').notNull(),
    text: text('text'),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.jobId, table.index] })],
);

export const analyses = pgTable(
  'analyses',
  {
    tenantId: uuid('tenant_id').notNull(),
    jobId: uuid('job_id').notNull(),
    itemIndex: integer('item_index').notNull(),
    kind: text('kind').notNull(),
    modelVersion: text('model_version').notNull(),
    userId: text('user_id'),
    output: json('output'),
    error: jsonb('error'),
    createdAt: moment('created_at').notNull(),
    valence: doublePrecision('valence'),
    arousal: doublePrecision('arousal'),
    intensity: doublePrecision('intensity'),
    primaryEmotion: text('primary_emotion'),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.jobId, table.itemIndex] })],
);

export const jobEvents = pgTable(
  'job_events',
  {
    tenantId: uuid('tenant_id').notNull(),
    jobId: uuid('job_id').notNull(),
    sequence: integer('sequence').notNull(),
    type: text('type').notNull(),
    data: jsonb('data').notNull(),
    at: moment('at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.jobId, table.sequence] })],
);

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    tenantId: uuid('tenant_id').notNull(),
    route: text('route').notNull(),
    key: text('key').notNull(),
    fingerprint: bytea('fingerprint').notNull(),
    jobId: uuid('job_id').notNull(),
    createdAt: moment('created_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.route, table.key] })],
);

export const erasures = pgTable(
  'erasures',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid('id').notNull(),
    jobId: uuid('job_id'),
    userId: text('user_id'),
    requestedAt: moment('requested_at').notNull(),
    lastJobId: uuid('last_job_id'),
    lastFileId: uuid('last_file_id'),
    filesDone: boolean('files_done').notNull(),
    jobsErased: integer('jobs_erased').notNull(),
    textsErased: integer('texts_erased').notNull(),
    completedAt: moment('completed_at'),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.id] })],
);

export const processes = pgTable('processes', {
  id: uuid('id').primaryKey(),
  type: text('type').notNull(),
  host: text('host').notNull(),
  pid: integer('pid').notNull(),
  info: jsonb('info').notNull(),
  startedAt: moment('started_at').notNull(),
  seenAt: moment('seen_at').notNull(),
});

export const people = pgTable(
  'people',
  {
    tenantId: uuid('tenant_id').notNull(),
    userId: text('user_id').notNull(),
    createdAt: moment('created_at').notNull(),
    updatedAt: moment('updated_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.userId] })],
);

export const facts = pgTable(
  'facts',
  {
    tenantId: uuid('tenant_id').notNull(),
    jobId: uuid('job_id').notNull(),
    itemIndex: integer('item_index').notNull(),
    ordinal: integer('ordinal').notNull(),
    userId: text('user_id').notNull(),
    type: text('type').notNull(),
    source: text('source').notNull(),
    target: text('target').notNull(),
    relation: text('relation'),
    strengthPpm: integer('strength_ppm').notNull(),
    at: moment('at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.jobId, table.itemIndex, table.ordinal] })],
);

export const profiles = pgTable(
  'profiles',
  {
    tenantId: uuid('tenant_id').notNull(),
    userId: text('user_id').notNull(),
    version: integer('version').notNull(),
    jobId: uuid('job_id').notNull(),
    profile: jsonb('profile').notNull(),
    createdAt: moment('created_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.userId, table.version] })],
);

export const webhookEndpoints = pgTable(
  'webhook_endpoints',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid('id').notNull(),
    url: text('url').notNull(),
    events: text('events').array().notNull(),
    includeResult: boolean('include_result').notNull(),
    description: text('description'),
    status: text('status').notNull(),
    statusReason: text('status_reason'),
    failingSince: moment('failing_since'),
    createdAt: moment('created_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.id] })],
);

export const webhookSecrets = pgTable(
  'webhook_secrets',
  {
    tenantId: uuid('tenant_id').notNull(),
    ownerId: uuid('owner_id').notNull(),
    id: uuid('id').notNull(),
    keyId: text('key_id').notNull(),
    sealed: bytea('sealed').notNull(),
    createdAt: moment('created_at').notNull(),
    expiresAt: moment('expires_at'),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.ownerId, table.id] })],
);

export const webhookRequests = pgTable(
  'webhook_requests',
  {
    tenantId: uuid('tenant_id').notNull(),
    subjectId: uuid('subject_id').notNull(),
    url: text('url').notNull(),
    events: text('events').array().notNull(),
    includeResult: boolean('include_result').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.subjectId] })],
);

export const deliveries = pgTable(
  'deliveries',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid('id').notNull(),
    targetId: uuid('target_id').notNull(),
    endpointId: uuid('endpoint_id'),
    url: text('url'),
    includeResult: boolean('include_result'),
    subjectType: text('subject_type').notNull(),
    subjectId: uuid('subject_id').notNull(),
    subjectGone: boolean('subject_gone').notNull(),
    type: text('type').notNull(),
    sequence: integer('sequence').notNull(),
    at: moment('at').notNull(),
    data: jsonb('data'),
    status: text('status').notNull(),
    statusReason: text('status_reason'),
    attempt: integer('attempt').notNull(),
    tries: integer('tries').notNull(),
    since: moment('since').notNull(),
    nextAttemptAt: moment('next_attempt_at'),
    createdAt: moment('created_at').notNull(),
    endedAt: moment('ended_at'),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.id] })],
);

export const deliveryAttempts = pgTable(
  'delivery_attempts',
  {
    tenantId: uuid('tenant_id').notNull(),
    deliveryId: uuid('delivery_id').notNull(),
    number: integer('number').notNull(),
    at: moment('at').notNull(),
    outcome: text('outcome').notNull(),
    statusCode: integer('status_code'),
    latencyMs: integer('latency_ms').notNull(),
    detail: text('detail'),
    body: text('body'),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.deliveryId, table.number] })],
);

export const batches = pgTable(
  'batches',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid('id').notNull(),
    kind: text('kind').notNull(),
    modelVersion: text('model_version').notNull(),
    modelDigest: text('model_digest').notNull(),
    class: smallint('class').notNull(),
    status: text('status').notNull(),
    endReason: text('end_reason'),
    onInvalid: text('on_invalid').notNull(),
    userId: text('user_id'),
    options: jsonb('options').notNull(),
    metadata: jsonb('metadata').notNull(),
    storeInput: boolean('store_input').notNull(),
    fileId: uuid('file_id'),
    dialect: text('dialect').notNull(),
    idempotencyKey: text('idempotency_key'),
    fingerprint: bytea('fingerprint'),
    lineHash: bytea('line_hash'),
    lineCount: integer('line_count').notNull(),
    invalidCount: integer('invalid_count').notNull(),
    uploadId: uuid('upload_id').notNull(),
    touchedAt: moment('touched_at').notNull(),
    sealed: boolean('sealed').notNull(),
    sweep: text('sweep'),
    succeededCount: integer('succeeded_count').notNull(),
    failedCount: integer('failed_count').notNull(),
    canceledCount: integer('canceled_count').notNull(),
    expiredCount: integer('expired_count').notNull(),
    partCount: integer('part_count').notNull(),
    faults: jsonb('faults').notNull(),
    error: jsonb('error'),
    eventSequence: integer('event_sequence').notNull(),
    progressAt: moment('progress_at'),
    progressToldAt: moment('progress_told_at'),
    deadlineAt: moment('deadline_at'),
    cancelRequestedAt: moment('cancel_requested_at'),
    eraseRequestedAt: moment('erase_requested_at'),
    createdAt: moment('created_at').notNull(),
    inProgressAt: moment('in_progress_at'),
    endedAt: moment('ended_at'),
    expiresAt: moment('expires_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.id] })],
);

export const batchEvents = pgTable(
  'batch_events',
  {
    tenantId: uuid('tenant_id').notNull(),
    batchId: uuid('batch_id').notNull(),
    sequence: integer('sequence').notNull(),
    type: text('type').notNull(),
    data: jsonb('data').notNull(),
    at: moment('at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.batchId, table.sequence] })],
);

export const files = pgTable(
  'files',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid('id').notNull(),
    filename: text('filename').notNull(),
    byteCount: bigint('byte_count', { mode: 'number' }).notNull(),
    lineCount: integer('line_count').notNull(),
    sha256: bytea('sha256'),
    sealedAt: moment('sealed_at'),
    createdAt: moment('created_at').notNull(),
    expiresAt: moment('expires_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.id] })],
);
