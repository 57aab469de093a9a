-- The ledger. Tables that grow are partitioned by range of the job's UUIDv7, whose first 48 bits are the job's
-- created_at: the partition key is part of every primary key, a look-up by id prunes to one partition, and a
-- month is dropped whole. Children carry (tenant_id, job_id) and are deleted in the statement that deletes the job.

CREATE TABLE tenants (
  id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
INSERT INTO tenants (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'default');
--> statement-breakpoint
CREATE TABLE jobs (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  kind text NOT NULL,
  model_version text NOT NULL,
  model_digest text NOT NULL,
  class smallint NOT NULL CHECK (class BETWEEN 0 AND 2),
  status text NOT NULL CHECK (status IN
    ('scheduled', 'queued', 'processing', 'canceling', 'succeeded', 'failed', 'canceled', 'expired')),
  status_reason text,
  user_id text,
  custom_id text,
  metadata jsonb NOT NULL DEFAULT '{}',
  tags text[] NOT NULL DEFAULT '{}',
  options jsonb NOT NULL DEFAULT '{}',
  store_input boolean NOT NULL DEFAULT true,
  retry_of uuid,
  item_count integer NOT NULL DEFAULT 0,
  character_count integer NOT NULL DEFAULT 0,
  succeeded_count integer NOT NULL DEFAULT 0,
  failed_count integer NOT NULL DEFAULT 0,
  attempt integer NOT NULL DEFAULT 0,
  attempts jsonb NOT NULL DEFAULT '[]',
  lease_until timestamptz,
  worker text,
  dispatch_id uuid,
  dispatched_at timestamptz,
  not_before timestamptz,
  deadline_at timestamptz,
  cancel_requested_at timestamptz,
  event_sequence integer NOT NULL DEFAULT 0,
  timing jsonb,
  execution jsonb,
  error jsonb,
  created_at timestamptz NOT NULL,
  queued_at timestamptz,
  started_at timestamptz,
  ended_at timestamptz,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
--> statement-breakpoint
-- Waits in the ledger for room in the window; read in this order by the top-up.
CREATE INDEX jobs_waiting ON jobs (class, tenant_id, id) INCLUDE (item_count)
  WHERE status = 'queued' AND dispatch_id IS NULL;
--> statement-breakpoint
-- The bounded window: dispatched and not terminal. Sized by its index alone, swept by the reconciler and the rescuer.
CREATE INDEX jobs_in_window ON jobs (tenant_id, class) INCLUDE (item_count)
  WHERE dispatch_id IS NOT NULL AND status IN ('queued', 'processing', 'canceling');
--> statement-breakpoint
CREATE INDEX jobs_scheduled ON jobs (not_before) WHERE status = 'scheduled';
--> statement-breakpoint
CREATE INDEX jobs_deadline ON jobs (deadline_at) WHERE deadline_at IS NOT NULL AND status IN ('scheduled', 'queued');
--> statement-breakpoint
CREATE INDEX jobs_expiry ON jobs USING brin (expires_at);
--> statement-breakpoint
CREATE TABLE items (
  tenant_id uuid NOT NULL,
  job_id uuid NOT NULL,
  index integer NOT NULL,
  text text,
  PRIMARY KEY (tenant_id, job_id, index)
) PARTITION BY RANGE (job_id);
--> statement-breakpoint
CREATE TABLE analyses (
  tenant_id uuid NOT NULL,
  job_id uuid NOT NULL,
  item_index integer NOT NULL,
  kind text NOT NULL,
  model_version text NOT NULL,
  user_id text,
  output json, -- json, not jsonb: the client gets the very text that the worker wrote, keys in order
  error jsonb,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, job_id, item_index),
  CHECK ((output IS NULL) <> (error IS NULL))
) PARTITION BY RANGE (job_id);
--> statement-breakpoint
-- `sequence` counts within a job and is advanced under the job's row lock, so readers never see a gap close later.
CREATE TABLE job_events (
  tenant_id uuid NOT NULL,
  job_id uuid NOT NULL,
  sequence integer NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL DEFAULT '{}',
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, job_id, sequence)
) PARTITION BY RANGE (job_id);
--> statement-breakpoint
CREATE UNIQUE INDEX job_events_one_terminal ON job_events (tenant_id, job_id)
  WHERE type IN ('job.succeeded', 'job.failed', 'job.canceled', 'job.expired');
--> statement-breakpoint
CREATE TABLE idempotency_keys (
  tenant_id uuid NOT NULL,
  route text NOT NULL,
  key text NOT NULL,
  fingerprint bytea NOT NULL,
  job_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, route, key)
);
--> statement-breakpoint
CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (created_at);
--> statement-breakpoint
-- Tombstones: what was erased while a worker still held it must not come back with the worker's result.
CREATE TABLE erasures (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  job_id uuid,
  user_id text,
  requested_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CHECK ((job_id IS NULL) <> (user_id IS NULL))
);
--> statement-breakpoint
CREATE UNIQUE INDEX erasures_job ON erasures (tenant_id, job_id) WHERE job_id IS NOT NULL;
--> statement-breakpoint
CREATE INDEX erasures_user ON erasures (tenant_id, user_id) WHERE user_id IS NOT NULL;
--> statement-breakpoint
-- Heartbeats of the processes: how many workers there are sizes the window; their info is shown in /health/detailed.
CREATE TABLE processes (
  id uuid PRIMARY KEY,
  type text NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  info jsonb NOT NULL DEFAULT '{}',
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
-- The smallest UUIDv7 of a moment: 48 bits of milliseconds, then zeros.
CREATE FUNCTION uuid_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
--> statement-breakpoint
-- Makes the monthly partitions from `first` on that do not exist yet. Called by the migration and the dispatcher.
CREATE FUNCTION ensure_partitions(first date, months integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent text;
  month date;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('soma.ensure_partitions'));
  FOREACH parent IN ARRAY ARRAY['jobs', 'items', 'analyses', 'job_events'] LOOP
    FOR step IN 0 .. months - 1 LOOP
      month := date_trunc('month', first)::date + make_interval(months => step);
      IF to_regclass(format('%I', parent || to_char(month, '_YYYY_MM'))) IS NULL THEN
        EXECUTE format(
          'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
          parent || to_char(month, '_YYYY_MM'), parent,
          uuid_floor(month::timestamp AT TIME ZONE 'UTC'),
          uuid_floor((month + interval '1 month') AT TIME ZONE 'UTC'));
      END IF;
    END LOOP;
  END LOOP;
END
$$;
--> statement-breakpoint
SELECT ensure_partitions((now() AT TIME ZONE 'UTC')::date, 2);
--> statement-breakpoint
-- Roles belong to the cluster, not to this database: another database may have made them, even in this moment.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['soma_reader', 'soma_intake', 'soma_worker'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
      EXECUTE format('GRANT %I TO CURRENT_USER', name);
    EXCEPTION WHEN unique_violation OR SQLSTATE 'XX000' THEN NULL;
    END;
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', name);
  END LOOP;
END
$$;
--> statement-breakpoint
GRANT SELECT ON jobs, items, analyses, job_events TO soma_reader;
--> statement-breakpoint
GRANT INSERT ON jobs, items, job_events TO soma_intake;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON idempotency_keys TO soma_intake;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE
  ON jobs, items, analyses, job_events, idempotency_keys, erasures, processes TO soma_worker;
--> statement-breakpoint
GRANT SELECT ON tenants TO soma_worker;
--> statement-breakpoint
-- The tenant-facing reader sees one tenant's rows; the intake may add rows and read none; workers serve all tenants.
DO $$
DECLARE
  tab text;
BEGIN
  FOREACH tab IN ARRAY ARRAY['jobs', 'items', 'analyses', 'job_events', 'idempotency_keys'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tab);
    EXECUTE format('CREATE POLICY worker ON %I TO soma_worker USING (true) WITH CHECK (true)', tab);
    EXECUTE format('CREATE POLICY reader ON %I FOR SELECT TO soma_reader
      USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', tab);
  END LOOP;
  FOREACH tab IN ARRAY ARRAY['jobs', 'items', 'job_events'] LOOP
    EXECUTE format('CREATE POLICY intake ON %I FOR INSERT TO soma_intake WITH CHECK (true)', tab);
  END LOOP;
END
$$;
--> statement-breakpoint
CREATE POLICY intake ON idempotency_keys TO soma_intake USING (true) WITH CHECK (true);
