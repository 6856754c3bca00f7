-- Processes that answer from memory. A publisher waits until each live one has taken notice; a lapsed one must not
-- answer from memory. Unlogged: after a crash of the server every reader starts afresh anyway.
CREATE UNLOGGED TABLE es_reader (
    reader text        PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Events that a projection which may skip could not take: what, where, why.
CREATE TABLE es_skipped (
    projection text        NOT NULL,
    position   bigint      NOT NULL,
    error      text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, position)
);
