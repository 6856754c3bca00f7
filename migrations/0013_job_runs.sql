-- What became of a recurring job: the database knows it, so that a queue may be lost at any time.
ALTER TABLE job_schedule
    ADD COLUMN queued_at timestamptz,
    ADD COLUMN started_at timestamptz,
    ADD COLUMN failed_at timestamptz,
    ADD COLUMN failures integer NOT NULL DEFAULT 0;
