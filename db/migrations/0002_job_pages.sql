-- What the list of jobs is read by: each page is one scan of one of these, newest first, never a sort of the table.
-- What few jobs have is indexed for those alone, so that the others pay nothing.

CREATE INDEX jobs_by_status ON jobs (tenant_id, status, id);
--> statement-breakpoint
CREATE INDEX jobs_by_kind ON jobs (tenant_id, kind, id);
--> statement-breakpoint
CREATE INDEX jobs_by_user ON jobs (tenant_id, user_id, id) WHERE user_id IS NOT NULL;
--> statement-breakpoint
CREATE INDEX jobs_by_custom_id ON jobs (tenant_id, custom_id, id) WHERE custom_id IS NOT NULL;
--> statement-breakpoint
CREATE INDEX jobs_by_tag ON jobs USING gin (tags) WHERE tags <> '{}';
