-- What is known about a person: who they are, the facts that analyses state, and the graph that follows from the
-- facts. The graph tables are kept by the transaction that stores the facts, so they are never behind; a Neo4j is a
-- copy of them, brought up to date row by row (`version` against `projected_version`).

-- Flags on unusual values are a statement about a person: made only for a tenant that asked for them.
ALTER TABLE tenants ADD COLUMN anomaly_flags boolean NOT NULL DEFAULT false;
--> statement-breakpoint
CREATE TABLE people (
  tenant_id uuid NOT NULL,
  user_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, user_id)
);
--> statement-breakpoint
-- A person's history, newest first, in one index scan; jobs' ids are ordered by time.
CREATE INDEX analyses_history ON analyses (tenant_id, user_id, kind, job_id DESC, item_index DESC)
  WHERE user_id IS NOT NULL;
--> statement-breakpoint
-- Keys are ordered by their bytes (COLLATE "C"), so that a path or a rebuild comes out the same on every cluster.
CREATE TABLE facts (
  tenant_id uuid NOT NULL,
  job_id uuid NOT NULL,
  item_index integer NOT NULL,
  ordinal integer NOT NULL,
  user_id text NOT NULL,
  type text COLLATE "C" NOT NULL CHECK (type IN ('causes', 'mentions', 'feels')),
  source text COLLATE "C" NOT NULL,
  target text COLLATE "C" NOT NULL,
  relation text COLLATE "C",
  strength_ppm integer NOT NULL CHECK (strength_ppm BETWEEN 0 AND 1000000),
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, job_id, item_index, ordinal)
) PARTITION BY RANGE (job_id);
--> statement-breakpoint
CREATE INDEX facts_of_user ON facts (tenant_id, user_id, type, source, target);
--> statement-breakpoint
-- `key` is `<type>:<name>`; `person:self` is the person whose graph it is. A node is there while an edge has it as an
-- end. Whoever changes edges locks their nodes first, in the order of the key.
CREATE TABLE graph_nodes (
  tenant_id uuid NOT NULL,
  user_id text NOT NULL,
  key text COLLATE "C" NOT NULL,
  type text NOT NULL CHECK (type IN ('person', 'concept', 'emotion')),
  name text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, user_id, key)
);
--> statement-breakpoint
-- Strength is the mean over the evidence: strength_ppm / evidence_count / 1e6. Sums of integers do not depend on
-- their order, so a rebuild gives the same figures to the last digit. `analyses` names the 20 newest sources, the
-- greatest `<job>:<item>` in the order of bytes. `projected_version` is 0 until the edge was first on its way to
-- Neo4j, -1 when it was and nothing is certain, else the version that is there. An edge without evidence is gone:
-- its row is deleted with it, or, if Neo4j may hold it, when Neo4j has lost it.
CREATE TABLE graph_edges (
  tenant_id uuid NOT NULL,
  user_id text NOT NULL,
  type text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  target text COLLATE "C" NOT NULL,
  relation text COLLATE "C",
  evidence_count integer NOT NULL,
  strength_ppm bigint NOT NULL,
  analyses text[] COLLATE "C" NOT NULL,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  version bigint NOT NULL DEFAULT 1,
  projected_version bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, user_id, type, source, target)
);
--> statement-breakpoint
CREATE INDEX graph_edges_by_source ON graph_edges (tenant_id, user_id, source);
--> statement-breakpoint
CREATE INDEX graph_edges_by_target ON graph_edges (tenant_id, user_id, target);
--> statement-breakpoint
CREATE INDEX graph_edges_unprojected ON graph_edges (changed_at) WHERE version > projected_version;
--> statement-breakpoint
CREATE TABLE profiles (
  tenant_id uuid NOT NULL,
  user_id text NOT NULL,
  version integer NOT NULL,
  job_id uuid NOT NULL,
  profile jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, user_id, version)
);
--> statement-breakpoint
CREATE OR REPLACE FUNCTION ensure_partitions(first date, months integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent text;
  month date;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('soma.ensure_partitions'));
  FOREACH parent IN ARRAY ARRAY['jobs', 'items', 'analyses', 'job_events', 'facts'] LOOP
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
GRANT SELECT ON people, facts, graph_nodes, graph_edges, profiles TO soma_reader;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON people TO soma_intake;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON people, facts, graph_nodes, graph_edges, profiles TO soma_worker;
--> statement-breakpoint
DO $$
DECLARE
  tab text;
BEGIN
  FOREACH tab IN ARRAY ARRAY['people', 'facts', 'graph_nodes', 'graph_edges', 'profiles'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tab);
    EXECUTE format('CREATE POLICY worker ON %I TO soma_worker USING (true) WITH CHECK (true)', tab);
    EXECUTE format('CREATE POLICY reader ON %I FOR SELECT TO soma_reader
      USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', tab);
  END LOOP;
END
$$;
--> statement-breakpoint
CREATE POLICY intake ON people TO soma_intake USING (true) WITH CHECK (true);
--> statement-breakpoint
-- The four tables of the former system, for SQL that was written against it.
CREATE VIEW users WITH (security_invoker = true) AS
  SELECT tenant_id, user_id AS id, user_id, created_at, updated_at FROM people;
--> statement-breakpoint
CREATE VIEW emotion_analyses WITH (security_invoker = true) AS
  SELECT a.tenant_id, a.job_id || ':' || a.item_index AS id, a.user_id, i.text, a.output->'all_emotions' AS emotions,
    (a.output->>'valence')::float8 AS valence, (a.output->>'arousal')::float8 AS arousal,
    (a.output->>'intensity')::float8 AS intensity, a.model_version, a.job_id, a.created_at
  FROM analyses a JOIN items i ON i.tenant_id = a.tenant_id AND i.job_id = a.job_id AND i.index = a.item_index
  WHERE a.kind = 'emotion' AND a.output IS NOT NULL;
--> statement-breakpoint
CREATE VIEW reasoning_extractions WITH (security_invoker = true) AS
  SELECT a.tenant_id, a.job_id || ':' || a.item_index AS id, a.user_id, i.text, a.output->'causal_chains' AS causal_chains,
    a.output->'reasoning_graph' AS reasoning_graph, a.model_version, a.job_id, a.created_at
  FROM analyses a JOIN items i ON i.tenant_id = a.tenant_id AND i.job_id = a.job_id AND i.index = a.item_index
  WHERE a.kind = 'reasoning' AND a.output IS NOT NULL;
--> statement-breakpoint
CREATE VIEW user_profiles WITH (security_invoker = true) AS
  SELECT DISTINCT ON (tenant_id, user_id) tenant_id, user_id || ':' || version AS id, user_id, profile AS profile_data,
    version, created_at, created_at AS updated_at
  FROM profiles ORDER BY tenant_id, user_id, version DESC;
--> statement-breakpoint
GRANT SELECT ON users, emotion_analyses, reasoning_extractions, user_profiles TO soma_reader, soma_worker;
