-- The Merkle tree over the log, in tiles of up to 256 hashes; only the last tile of a level grows.
CREATE TABLE log_tile (
    level  smallint NOT NULL,
    idx    bigint   NOT NULL,
    width  smallint NOT NULL CHECK (width BETWEEN 1 AND 256),
    hashes bytea    NOT NULL CHECK (octet_length(hashes) = 32 * width),
    PRIMARY KEY (level, idx)
);
ALTER TABLE log_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;  -- hashes do not compress

-- Every tree head that was signed. Not a read model: what was said cannot be unsaid, so a rebuild leaves it alone and
-- is checked against it.
CREATE TABLE log_checkpoint (
    size bigint      PRIMARY KEY,
    root bytea       NOT NULL CHECK (octet_length(root) = 32),
    note text        NOT NULL,
    at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The public halves of the keys that sign or have signed, as verifier keys. since: the size of its first checkpoint.
CREATE TABLE log_key (
    verifier_key text   PRIMARY KEY,
    since        bigint NOT NULL
);
