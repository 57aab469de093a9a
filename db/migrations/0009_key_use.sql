-- When a key was last good for something, to within a minute or two: what an operator asks before revoking it.

ALTER TABLE api_keys ADD COLUMN last_used_at timestamptz;
--> statement-breakpoint
-- The API writes it for many requests at once, under the role that reads keys.
GRANT UPDATE (last_used_at) ON api_keys TO soma_intake;
