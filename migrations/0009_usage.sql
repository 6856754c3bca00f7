-- Downloads, counted in batches by every process. Not derived from the log, and not rebuilt from it.
CREATE TABLE usage_daily (
    day           date   NOT NULL,
    artifact      uuid   NOT NULL,
    client_family text   COLLATE "C" NOT NULL,
    repository    uuid   NOT NULL,
    downloads     bigint NOT NULL,
    PRIMARY KEY (day, artifact, client_family)
) WITH (fillfactor = 80);
CREATE INDEX ON usage_daily (artifact, day);

CREATE TABLE usage_total (
    artifact   uuid        PRIMARY KEY,
    repository uuid        NOT NULL,
    downloads  bigint      NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX ON usage_total (repository) INCLUDE (downloads);

-- The last batch of each process, so that one sent twice counts once.
CREATE TABLE usage_writer (
    writer uuid        PRIMARY KEY,
    batch  bigint      NOT NULL,
    at     timestamptz NOT NULL
) WITH (fillfactor = 50);
