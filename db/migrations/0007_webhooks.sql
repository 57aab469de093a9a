-- Webhooks: who wants to hear of what, and every message to them. A message (delivery) is a row that is made by the
-- statement that changes the job, through the trigger on job_events below: no way to move a job can forget it.

CREATE TABLE webhook_endpoints (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  url text NOT NULL,
  events text[] NOT NULL,
  include_result boolean NOT NULL DEFAULT false,
  description text,
  status text NOT NULL DEFAULT 'enabled' CHECK (status IN ('enabled', 'disabled')),
  status_reason text,
  -- The first failure since the last success.
  failing_since timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
--> statement-breakpoint
-- Sealed with AES-256-GCM under the key `key_id` of the configuration. `owner_id` is an endpoint, or the tenant itself:
-- its default secret, which signs what goes to the URL of a job. A tenant without a row here uses no webhooks, which is
-- all that the trigger asks for such a tenant.
CREATE TABLE webhook_secrets (
  tenant_id uuid NOT NULL,
  owner_id uuid NOT NULL,
  id uuid NOT NULL,
  key_id text NOT NULL,
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  PRIMARY KEY (tenant_id, owner_id, id)
);
--> statement-breakpoint
-- The webhook that a job, or a batch, was submitted with.
CREATE TABLE webhook_requests (
  tenant_id uuid NOT NULL,
  subject_id uuid NOT NULL,
  url text NOT NULL,
  events text[] NOT NULL,
  include_result boolean NOT NULL,
  PRIMARY KEY (tenant_id, subject_id)
);
--> statement-breakpoint
-- `target_id` is what takes turns, fails and recovers as one: an endpoint, or a tenant's URL of jobs. The content is
-- made from the ledger when it is sent, so erasing a job erases it; `data` is content that is in no other table, and
-- never a person's words. `tries` counts in the schedule that began at `since`, `attempt` over all replays.
CREATE TABLE deliveries (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  target_id uuid NOT NULL,
  endpoint_id uuid,
  url text,
  include_result boolean,
  subject_type text NOT NULL CHECK (subject_type IN ('job', 'profile', 'batch', 'endpoint')),
  subject_id uuid NOT NULL,
  subject_gone boolean NOT NULL DEFAULT false,
  type text NOT NULL,
  sequence integer NOT NULL,
  at timestamptz NOT NULL,
  data jsonb,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
  status_reason text,
  attempt integer NOT NULL DEFAULT 0,
  tries integer NOT NULL DEFAULT 0,
  since timestamptz NOT NULL DEFAULT now(),
  next_attempt_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  CHECK ((endpoint_id IS NULL) = (url IS NOT NULL)),
  CHECK ((status = 'pending') = (next_attempt_at IS NOT NULL))
);
--> statement-breakpoint
-- Read by target, so that ten thousand that wait for a dead one are never in the way of another's.
CREATE INDEX deliveries_due ON deliveries (target_id, next_attempt_at, id) WHERE status = 'pending';
--> statement-breakpoint
CREATE INDEX deliveries_of_subject ON deliveries (tenant_id, subject_id);
--> statement-breakpoint
CREATE INDEX deliveries_of_endpoint ON deliveries (tenant_id, endpoint_id, id) WHERE endpoint_id IS NOT NULL;
--> statement-breakpoint
CREATE INDEX deliveries_by_status ON deliveries (tenant_id, status, id);
--> statement-breakpoint
CREATE INDEX deliveries_age ON deliveries USING brin (created_at);
--> statement-breakpoint
CREATE TABLE delivery_attempts (
  tenant_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  number integer NOT NULL,
  at timestamptz NOT NULL,
  outcome text NOT NULL,
  status_code integer,
  latency_ms integer NOT NULL,
  detail text,
  -- The first kilobyte of what the receiver answered, if it was text.
  body text,
  PRIMARY KEY (tenant_id, delivery_id, number)
);
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE
  ON webhook_endpoints, webhook_secrets, webhook_requests, deliveries, delivery_attempts TO soma_worker;
--> statement-breakpoint
GRANT SELECT ON webhook_endpoints, webhook_requests, deliveries, delivery_attempts TO soma_reader;
--> statement-breakpoint
GRANT INSERT ON webhook_requests TO soma_intake;
--> statement-breakpoint
DO $$
DECLARE
  tab text;
BEGIN
  FOREACH tab IN ARRAY ARRAY['webhook_endpoints', 'webhook_secrets', 'webhook_requests', 'deliveries', 'delivery_attempts'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tab);
    EXECUTE format('CREATE POLICY worker ON %I TO soma_worker USING (true) WITH CHECK (true)', tab);
    IF tab <> 'webhook_secrets' THEN
      EXECUTE format('CREATE POLICY reader ON %I FOR SELECT TO soma_reader
        USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', tab);
    END IF;
  END LOOP;
END
$$;
--> statement-breakpoint
CREATE POLICY intake ON webhook_requests FOR INSERT TO soma_intake WITH CHECK (true);
--> statement-breakpoint
-- A UUIDv7 of this moment: random bits under 48 bits of milliseconds, with the version set (RFC 9562, section 5.7).
CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
    substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;
--> statement-breakpoint
-- Something that a tenant may want to hear of.
CREATE TYPE webhook_event AS (
  tenant_id uuid, subject_type text, subject_id uuid, type text, sequence integer, at timestamptz, data jsonb
);
--> statement-breakpoint
-- Makes the deliveries of events, to the endpoints that want them and to the webhook of the job or batch itself, and
-- wakes their senders when it is committed. Whatever changes a state calls it in the same transaction.
CREATE FUNCTION insert_deliveries(events webhook_event[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  woken bigint;
BEGIN
  WITH wanted AS MATERIALIZED (
    SELECT e.*, w.id AS target_id, w.id AS endpoint_id, NULL::text AS url, NULL::boolean AS include_result
    FROM unnest(events) AS e JOIN webhook_endpoints w ON w.tenant_id = e.tenant_id AND w.status = 'enabled'
      AND w.events && ARRAY[e.type, split_part(e.type, '.', 1) || '.*', '*']
    UNION ALL
    SELECT e.*, md5(r.tenant_id || ' ' || r.url)::uuid, NULL, r.url, r.include_result
    FROM unnest(events) AS e JOIN webhook_requests r ON r.tenant_id = e.tenant_id AND r.subject_id = e.subject_id
      AND r.events && ARRAY[e.type, split_part(e.type, '.', 1) || '.*', '*']
  ), made AS (
    INSERT INTO deliveries (tenant_id, id, target_id, endpoint_id, url, include_result, subject_type, subject_id, type,
      sequence, at, data, next_attempt_at)
    SELECT tenant_id, uuid_v7(), target_id, endpoint_id, url, include_result, subject_type, subject_id, type,
      sequence, at, data, now() FROM wanted
    RETURNING target_id
  )
  SELECT count(pg_notify('soma_deliveries', target_id::text)) INTO woken
  FROM (SELECT DISTINCT target_id FROM made) AS targets;
END
$$;
--> statement-breakpoint
-- A profile job that succeeds also updates a profile: its sequence is the profile's version.
CREATE FUNCTION record_job_deliveries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  events webhook_event[];
BEGIN
  IF NOT EXISTS (
    SELECT FROM (SELECT DISTINCT tenant_id FROM new_events WHERE type IN
      ('job.started', 'job.succeeded', 'job.failed', 'job.canceled', 'job.expired')) AS t
    WHERE EXISTS (SELECT FROM webhook_secrets s WHERE s.tenant_id = t.tenant_id)
  ) THEN
    RETURN NULL;
  END IF;
  SELECT array_agg(ROW(e.tenant_id, 'job', e.job_id, e.type, e.sequence, e.at, NULL)::webhook_event) INTO events
  FROM new_events e WHERE e.type IN ('job.started', 'job.succeeded', 'job.failed', 'job.canceled', 'job.expired');
  events := events || (
    SELECT array_agg(ROW(e.tenant_id, 'profile', e.job_id, 'profile.updated', p.version, e.at, NULL)::webhook_event)
    FROM new_events e JOIN jobs j ON j.tenant_id = e.tenant_id AND j.id = e.job_id AND j.kind = 'profile'
      JOIN profiles p ON p.tenant_id = j.tenant_id AND p.user_id = j.user_id AND p.job_id = j.id
    WHERE e.type = 'job.succeeded');
  PERFORM insert_deliveries(events);
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER record_deliveries AFTER INSERT ON job_events REFERENCING NEW TABLE AS new_events
  FOR EACH STATEMENT EXECUTE FUNCTION record_job_deliveries();
--> statement-breakpoint
-- A job that goes takes its deliveries with it, whoever deletes it. One that goes at the end of its retention leaves
-- those that are still under way: they tell that it ended, and nothing else of it.
CREATE FUNCTION forget_job_deliveries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  tenants uuid[];
  ids uuid[];
BEGIN
  IF NOT EXISTS (
    SELECT FROM (SELECT DISTINCT tenant_id FROM gone) AS t
    WHERE EXISTS (SELECT FROM webhook_secrets s WHERE s.tenant_id = t.tenant_id)
  ) THEN
    RETURN NULL;
  END IF;
  DELETE FROM webhook_requests r USING gone g WHERE r.tenant_id = g.tenant_id AND r.subject_id = g.id;
  PERFORM FROM deliveries d JOIN gone g ON d.tenant_id = g.tenant_id AND d.subject_id = g.id ORDER BY d.id FOR UPDATE OF d;
  -- Each step by itself, so that it sees the log of an attempt that ended while the step before waited for its row.
  WITH done AS (
    DELETE FROM deliveries d USING gone g WHERE d.tenant_id = g.tenant_id AND d.subject_id = g.id
      AND (d.status <> 'pending' OR g.expires_at > now()) RETURNING d.tenant_id, d.id
  ) SELECT array_agg(tenant_id), array_agg(id) INTO tenants, ids FROM done;
  DELETE FROM delivery_attempts a USING unnest(tenants, ids) AS d(tenant_id, id)
  WHERE a.tenant_id = d.tenant_id AND a.delivery_id = d.id;
  WITH left_over AS (
    UPDATE deliveries d SET subject_gone = true FROM gone g
    WHERE d.tenant_id = g.tenant_id AND d.subject_id = g.id RETURNING d.tenant_id, d.id
  ) SELECT array_agg(tenant_id), array_agg(id) INTO tenants, ids FROM left_over;
  UPDATE delivery_attempts a SET body = NULL FROM unnest(tenants, ids) AS d(tenant_id, id)
  WHERE a.tenant_id = d.tenant_id AND a.delivery_id = d.id AND a.body IS NOT NULL;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER forget_deliveries AFTER DELETE ON jobs REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION forget_job_deliveries();
--> statement-breakpoint
-- The functions run with the worker's rights, so that a role which may only record a job can fire them. To own a
-- function a role must be able to make one, for as long as this takes.
GRANT CREATE ON SCHEMA public TO soma_worker;
--> statement-breakpoint
ALTER FUNCTION insert_deliveries(webhook_event[]) OWNER TO soma_worker;
--> statement-breakpoint
ALTER FUNCTION record_job_deliveries() OWNER TO soma_worker;
--> statement-breakpoint
ALTER FUNCTION forget_job_deliveries() OWNER TO soma_worker;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM soma_worker;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION insert_deliveries(webhook_event[]), record_job_deliveries(), forget_job_deliveries() FROM PUBLIC;
