-- Uploads that arrive from front to back and whose length nobody knows beforehand, as those of container layers. Not
-- history: a session is gone some days after its last byte; what it published is in the log.
-- place: what in the repository it is for. turn: how many writers began; only the last one's bytes count. parts: the
-- turns whose bytes are here, in order; size_bytes: how many bytes they are together.
CREATE TABLE streamed_upload (
    session    uuid        PRIMARY KEY,
    owner      uuid        NOT NULL,
    repository uuid        NOT NULL,
    place      text        NOT NULL,
    turn       int         NOT NULL DEFAULT 0,
    parts      int[]       NOT NULL DEFAULT '{}',
    size_bytes bigint      NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
    touched_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON streamed_upload (owner);
CREATE INDEX ON streamed_upload (touched_at);
