-- When each recurring job is due next: what a schedule remembers over restarts, and across workers.
CREATE TABLE job_schedule (
    job     text        PRIMARY KEY,
    due_at  timestamptz NOT NULL,
    done_at timestamptz,
    error   text
);
