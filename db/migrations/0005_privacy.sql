-- A person is erased by a request that is a row: it is done in bounded steps, by whoever comes to it, until nothing is
-- left. Then the row keeps what was asked and when it was done, and no longer of whom.

ALTER TABLE erasures
  -- Of a person: every job up to this one goes. Ids are ordered by time; the newest that was there when it was asked for.
  ADD COLUMN last_job_id uuid,
  ADD COLUMN jobs_erased integer NOT NULL DEFAULT 0,
  ADD COLUMN texts_erased integer NOT NULL DEFAULT 0,
  ADD COLUMN completed_at timestamptz;
--> statement-breakpoint
UPDATE erasures SET completed_at = requested_at, jobs_erased = 1 WHERE job_id IS NOT NULL;
--> statement-breakpoint
UPDATE erasures SET last_job_id = uuid_floor(requested_at) WHERE user_id IS NOT NULL;
--> statement-breakpoint
ALTER TABLE erasures DROP CONSTRAINT erasures_check;
--> statement-breakpoint
ALTER TABLE erasures ADD CONSTRAINT erasures_person_while_open CHECK (
  (user_id IS NOT NULL) = (completed_at IS NULL) AND (job_id IS NULL OR user_id IS NULL)
  AND (user_id IS NULL OR last_job_id IS NOT NULL));
--> statement-breakpoint
-- One open request for a person: asked again meanwhile, it is the same one, and reaches further.
DROP INDEX erasures_user;
--> statement-breakpoint
CREATE UNIQUE INDEX erasures_user ON erasures (tenant_id, user_id) WHERE user_id IS NOT NULL;
--> statement-breakpoint
CREATE INDEX erasures_open ON erasures (requested_at) WHERE completed_at IS NULL;
--> statement-breakpoint
CREATE INDEX erasures_done ON erasures (completed_at) WHERE completed_at IS NOT NULL;
--> statement-breakpoint
-- Receipts are read by the tenant that asked.
GRANT SELECT ON erasures TO soma_reader;
--> statement-breakpoint
ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE erasures FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY worker ON erasures TO soma_worker USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY reader ON erasures FOR SELECT TO soma_reader
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
-- Clients write what they like into an idempotency key, so what is stored is its hash.
UPDATE idempotency_keys SET key = encode(sha256(convert_to(key, 'UTF8')), 'hex');
--> statement-breakpoint
ALTER TABLE api_keys ADD COLUMN expires_at timestamptz;
