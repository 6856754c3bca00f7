-- When upstreams were asked for what, so that no process asks again too soon. A cache: what was fetched is in the log.
CREATE TABLE upstream_known (
    repository uuid NOT NULL, path text COLLATE "C" NOT NULL,
    sha256 text, etag text NOT NULL, last_modified text NOT NULL, checked_at timestamptz NOT NULL,
    PRIMARY KEY (repository, path)
);
