-- Batches: lines that are cut into jobs, and files that lines are read from. The texts of a batch are the items of its
-- jobs and nowhere else, from the moment they are read: what erases a job erases its lines.

CREATE TABLE batches (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  kind text NOT NULL,
  model_version text NOT NULL,
  model_digest text NOT NULL,
  class smallint NOT NULL CHECK (class BETWEEN 0 AND 2),
  status text NOT NULL CHECK (status IN ('validating', 'in_progress', 'canceling', 'ended')),
  end_reason text CHECK (end_reason IN ('completed', 'canceled', 'expired', 'invalid', 'error')),
  on_invalid text NOT NULL CHECK (on_invalid IN ('reject', 'skip')),
  user_id text,
  options jsonb NOT NULL,
  metadata jsonb NOT NULL,
  store_input boolean NOT NULL,
  file_id uuid,
  -- How the lines of the file are written.
  dialect text NOT NULL CHECK (dialect IN ('soma', 'openai')),
  idempotency_key text,
  -- Of the options; of the lines there is `line_hash`, the sha-256 of the first `line_count` of them.
  fingerprint bytea,
  line_hash bytea,
  line_count integer NOT NULL DEFAULT 0,
  invalid_count integer NOT NULL DEFAULT 0,
  -- Whoever holds this may add lines; a new upload under the key, or another reader of the file, takes it over.
  upload_id uuid NOT NULL,
  touched_at timestamptz NOT NULL,
  sealed boolean NOT NULL DEFAULT false,
  -- What is still to be done with every job of the batch, in steps.
  sweep text CHECK (sweep IN ('release', 'cancel', 'drop', 'erase')),
  -- Lines that have ended, and the number of the last part of them (batch_parts).
  succeeded_count integer NOT NULL DEFAULT 0,
  failed_count integer NOT NULL DEFAULT 0,
  canceled_count integer NOT NULL DEFAULT 0,
  expired_count integer NOT NULL DEFAULT 0,
  part_count integer NOT NULL DEFAULT 0,
  faults jsonb NOT NULL DEFAULT '[]',
  error jsonb,
  event_sequence integer NOT NULL DEFAULT 0,
  progress_at timestamptz,
  deadline_at timestamptz,
  cancel_requested_at timestamptz,
  erase_requested_at timestamptz,
  created_at timestamptz NOT NULL,
  in_progress_at timestamptz,
  ended_at timestamptz,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
--> statement-breakpoint
CREATE UNIQUE INDEX batches_by_key ON batches (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
--> statement-breakpoint
CREATE INDEX batches_open ON batches (touched_at) WHERE NOT sealed;
--> statement-breakpoint
CREATE INDEX batches_running ON batches (tenant_id, id) WHERE sealed AND status <> 'ended';
--> statement-breakpoint
CREATE INDEX batches_to_sweep ON batches (tenant_id, id) WHERE sweep IS NOT NULL;
--> statement-breakpoint
CREATE INDEX batches_expiry ON batches (expires_at);
--> statement-breakpoint
-- Where each line went: to item `item_index` of the job `part_id`, or with `error` to a part of bad lines, no job.
CREATE TABLE batch_lines (
  tenant_id uuid NOT NULL,
  batch_id uuid NOT NULL,
  index integer NOT NULL,
  part_id uuid NOT NULL,
  item_index integer NOT NULL,
  custom_id text,
  metadata jsonb,
  error jsonb,
  PRIMARY KEY (tenant_id, batch_id, index)
);
--> statement-breakpoint
CREATE INDEX batch_lines_by_part ON batch_lines (tenant_id, part_id, item_index);
--> statement-breakpoint
-- The parts of a batch that have ended, in the order in which they were counted: one after another under the batch's
-- row lock, so that a reader who has come to a number has missed none before it.
CREATE TABLE batch_parts (
  tenant_id uuid NOT NULL,
  batch_id uuid NOT NULL,
  ordinal integer NOT NULL,
  part_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, batch_id, ordinal)
);
--> statement-breakpoint
CREATE UNIQUE INDEX batch_parts_by_part ON batch_parts (tenant_id, part_id);
--> statement-breakpoint
CREATE TABLE batch_events (
  tenant_id uuid NOT NULL,
  batch_id uuid NOT NULL,
  sequence integer NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL DEFAULT '{}',
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, batch_id, sequence)
);
--> statement-breakpoint
CREATE TABLE files (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  filename text NOT NULL,
  byte_count bigint NOT NULL DEFAULT 0,
  line_count integer NOT NULL DEFAULT 0,
  sha256 bytea,
  -- Null while it is uploaded; such a file is nobody's yet.
  sealed_at timestamptz,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
--> statement-breakpoint
CREATE INDEX files_expiry ON files (expires_at);
--> statement-breakpoint
CREATE TABLE file_chunks (
  tenant_id uuid NOT NULL,
  file_id uuid NOT NULL,
  index integer NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (tenant_id, file_id, index)
);
--> statement-breakpoint
ALTER TABLE jobs ADD COLUMN batch_id uuid, ADD COLUMN batch_counted boolean NOT NULL DEFAULT false;
--> statement-breakpoint
CREATE INDEX jobs_of_batch ON jobs (tenant_id, batch_id, id) WHERE batch_id IS NOT NULL;
--> statement-breakpoint
-- Jobs that have ended and that their batch has not counted yet: next to empty.
CREATE INDEX jobs_to_count ON jobs (tenant_id, batch_id)
  WHERE batch_id IS NOT NULL AND NOT batch_counted AND status IN ('succeeded', 'failed', 'canceled', 'expired');
--> statement-breakpoint
-- A job that goes, whoever deletes it, takes its lines along; if its batch had not counted it, it counts as canceled.
CREATE FUNCTION leave_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM batch_lines WHERE tenant_id = OLD.tenant_id AND part_id = OLD.id;
  IF NOT OLD.batch_counted THEN
    UPDATE batches SET canceled_count = canceled_count + OLD.item_count
    WHERE tenant_id = OLD.tenant_id AND id = OLD.batch_id;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER leave_batch AFTER DELETE ON jobs FOR EACH ROW WHEN (OLD.batch_id IS NOT NULL) EXECUTE FUNCTION leave_batch();
--> statement-breakpoint
GRANT SELECT ON batches, batch_lines, batch_parts, batch_events, files, file_chunks TO soma_reader;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON batches, batch_lines, batch_parts, batch_events, files, file_chunks TO soma_worker;
--> statement-breakpoint
DO $$
DECLARE
  tab text;
BEGIN
  FOREACH tab IN ARRAY ARRAY['batches', 'batch_lines', 'batch_parts', 'batch_events', 'files', 'file_chunks'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tab);
    EXECUTE format('CREATE POLICY worker ON %I TO soma_worker USING (true) WITH CHECK (true)', tab);
    EXECUTE format('CREATE POLICY reader ON %I FOR SELECT TO soma_reader
      USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', tab);
  END LOOP;
END
$$;
