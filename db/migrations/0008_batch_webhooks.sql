-- Messages about batches: made by the statement that moves a batch, through the trigger on its events, as those about
-- jobs are (0007).

-- The last event of progress that was made a message.
ALTER TABLE batches ADD COLUMN progress_told_at timestamptz;
--> statement-breakpoint
-- Progress is an event twice a second, which is for streams; a message of it is made once in ten seconds. Of a batch
-- that is to be erased there is nothing more to tell. Whoever writes an event of a batch holds its row.
CREATE FUNCTION record_batch_deliveries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  events webhook_event[];
BEGIN
  IF NOT EXISTS (
    SELECT FROM new_events e WHERE e.type IN ('batch.progress', 'batch.ended')
      AND EXISTS (SELECT FROM webhook_secrets s WHERE s.tenant_id = e.tenant_id)
  ) THEN
    RETURN NULL;
  END IF;
  WITH told AS (
    UPDATE batches b SET progress_told_at = e.at FROM new_events e
    WHERE e.type = 'batch.progress' AND b.tenant_id = e.tenant_id AND b.id = e.batch_id AND b.erase_requested_at IS NULL
      AND (b.progress_told_at IS NULL OR b.progress_told_at <= e.at - interval '10 seconds')
    RETURNING e.*, b.status
  ), wanted AS (
    SELECT * FROM told UNION ALL
    SELECT e.*, b.status FROM new_events e
      JOIN batches b ON b.tenant_id = e.tenant_id AND b.id = e.batch_id AND b.erase_requested_at IS NULL
    WHERE e.type = 'batch.ended'
  )
  SELECT array_agg(ROW(tenant_id, 'batch', batch_id, type, sequence, at,
    data || jsonb_build_object('status', status))::webhook_event) INTO events
  FROM wanted;
  PERFORM insert_deliveries(events);
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER record_deliveries AFTER INSERT ON batch_events REFERENCING NEW TABLE AS new_events
  FOR EACH STATEMENT EXECUTE FUNCTION record_batch_deliveries();
--> statement-breakpoint
-- A batch is forgotten when its erasure is asked for, not when the sweep has come through its jobs. Both steps take the
-- batch's row first, so a message is made before this looks, or not at all.
CREATE FUNCTION forget_erased_batch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  ids uuid[];
BEGIN
  DELETE FROM webhook_requests WHERE tenant_id = NEW.tenant_id AND subject_id = NEW.id;
  PERFORM FROM deliveries WHERE tenant_id = NEW.tenant_id AND subject_id = NEW.id ORDER BY id FOR UPDATE;
  -- A step by itself, so that it sees the log of an attempt that ended while the step before waited for its row.
  WITH done AS (
    DELETE FROM deliveries WHERE tenant_id = NEW.tenant_id AND subject_id = NEW.id RETURNING id
  ) SELECT array_agg(id) INTO ids FROM done;
  DELETE FROM delivery_attempts WHERE tenant_id = NEW.tenant_id AND delivery_id = ANY (ids);
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER forget_deliveries AFTER UPDATE OF erase_requested_at ON batches FOR EACH ROW
  WHEN (OLD.erase_requested_at IS NULL AND NEW.erase_requested_at IS NOT NULL) EXECUTE FUNCTION forget_erased_batch();
--> statement-breakpoint
-- At the end of its retention a batch goes as a job does: what is under way still tells that it ended.
ALTER FUNCTION forget_job_deliveries() RENAME TO forget_deliveries;
--> statement-breakpoint
CREATE TRIGGER forget_old_deliveries AFTER DELETE ON batches REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION forget_deliveries();
--> statement-breakpoint
GRANT CREATE ON SCHEMA public TO soma_worker;
--> statement-breakpoint
ALTER FUNCTION record_batch_deliveries() OWNER TO soma_worker;
--> statement-breakpoint
ALTER FUNCTION forget_erased_batch() OWNER TO soma_worker;
--> statement-breakpoint
REVOKE CREATE ON SCHEMA public FROM soma_worker;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION record_batch_deliveries(), forget_erased_batch() FROM PUBLIC;
