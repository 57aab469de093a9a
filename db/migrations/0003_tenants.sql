-- Tenants get a tier, and keys that name them. Of a key only its id and a hash are here.

ALTER TABLE tenants ADD COLUMN tier text NOT NULL DEFAULT 'free' CHECK (tier IN ('free', 'standard', 'premium'));
--> statement-breakpoint
UPDATE tenants SET tier = 'premium' WHERE name = 'default';
--> statement-breakpoint
CREATE TABLE api_keys (
  id text PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz
);
--> statement-breakpoint
CREATE INDEX api_keys_tenant ON api_keys (tenant_id);
--> statement-breakpoint
-- The intake asks who comes in; no other role sees a hash, and only the owner makes or revokes a key.
GRANT SELECT ON api_keys, tenants TO soma_intake;
