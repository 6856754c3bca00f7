-- Uploads in flight: digests that the collector must leave alone. A lease lasts seconds and is renewed while it is held.
--
-- Unlogged, so that taking one costs no flush of the disk. A crash of the server empties the table; then the row of the
-- empty digest is gone as well, and its absence tells the collector to wait until every lost lease would have ended.
CREATE UNLOGGED TABLE blob_lease (
    sha256 text        COLLATE "C" NOT NULL,
    lease  uuid        NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (sha256, lease)
);
CREATE INDEX ON blob_lease (lease);
-- `until` of this row: when collecting may begin.
INSERT INTO blob_lease VALUES ('', '00000000-0000-0000-0000-000000000000', now());

-- The key of the advisory lock of a digest: its first 60 bits.
CREATE FUNCTION blob_lock(sha256 text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT ('x' || left(sha256, 15))::bit(60)::bigint $$;

-- Take a lease on digests, separated by spaces: clients make one text faster than an array. The shared locks wait for a
-- collector that holds one of them alone, and are given back with the commit of this very statement: from then on the
-- row speaks for the upload.
CREATE FUNCTION blob_lease_take(holder uuid, digests text, seconds double precision) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    digest text;
BEGIN
    FOREACH digest IN ARRAY string_to_array(digests, ' ') LOOP
        PERFORM pg_advisory_xact_lock_shared(blob_lock(digest));
        INSERT INTO blob_lease (sha256, lease, until)
        VALUES (digest, holder, clock_timestamp() + make_interval(secs => seconds))
        ON CONFLICT (sha256, lease) DO NOTHING;
    END LOOP;
END $$;
