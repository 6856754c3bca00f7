-- Uploads that arrive in pieces. Not history: a session is gone some days after it ended; what it published is in the log.
-- sha256 is what the client announced. request: everything else it said at the start, JSON. result: what completing
-- answered, JSON. completing_since: somebody is at it; a claim that is some minutes old was left by a crash. verified:
-- the bytes that arrived had the announced digest, so the blob of that digest is what this client sent.
CREATE TABLE upload_session (
    session          uuid        PRIMARY KEY,
    owner            uuid        NOT NULL,
    repository       uuid        NOT NULL,
    path             text        NOT NULL,
    total_size       bigint      NOT NULL CHECK (total_size >= 0),
    chunk_size       bigint      NOT NULL CHECK (chunk_size > 0),
    sha256           text        NOT NULL,
    request          bytea       NOT NULL,
    status           text        NOT NULL DEFAULT 'in_progress'
                                 CHECK (status IN ('in_progress', 'completed', 'cancelled', 'expired')),
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL,
    completing_since timestamptz,
    verified         boolean     NOT NULL DEFAULT false,
    result           bytea
);
CREATE INDEX ON upload_session (expires_at);
CREATE INDEX ON upload_session (owner) WHERE status = 'in_progress';

-- The chunks that are wholly here.
CREATE TABLE upload_chunk (
    session uuid NOT NULL REFERENCES upload_session ON DELETE CASCADE,
    chunk   int  NOT NULL,
    PRIMARY KEY (session, chunk)
);
