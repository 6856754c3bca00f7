-- What can be found by words: a row for each artifact there is now, and one for each package with any.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE view_search (
    artifact uuid PRIMARY KEY,
    position bigint NOT NULL,
    repository uuid NOT NULL, path text COLLATE "C" NOT NULL, package text COLLATE "C" NOT NULL,
    name text NOT NULL, name_key text COLLATE "C" NOT NULL, version text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" NOT NULL, sha1 text COLLATE "C", md5 text COLLATE "C",
    size_bytes bigint NOT NULL, media_type text NOT NULL, published_at timestamptz NOT NULL,
    words tsvector NOT NULL
);
CREATE INDEX ON view_search (position);
CREATE INDEX ON view_search (repository, position);
CREATE INDEX ON view_search (name_key, position);
CREATE INDEX ON view_search (size_bytes, position);
CREATE INDEX ON view_search USING hash (sha256);
CREATE INDEX ON view_search USING hash (sha1) WHERE sha1 IS NOT NULL;
CREATE INDEX ON view_search USING hash (md5) WHERE md5 IS NOT NULL;
-- words by beginning; parts of names and paths by trigrams
CREATE INDEX ON view_search USING gin (words) WITH (gin_pending_list_limit = 1024);
CREATE INDEX ON view_search USING gin (name_key gin_trgm_ops, path gin_trgm_ops) WITH (gin_pending_list_limit = 1024);

CREATE TABLE view_search_package (
    package_id uuid PRIMARY KEY,
    repository uuid NOT NULL, package text COLLATE "C" NOT NULL,
    name text NOT NULL, name_key text COLLATE "C" NOT NULL, description text,
    artifacts bigint NOT NULL, size_bytes bigint NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX ON view_search_package (name_key, package_id);
CREATE INDEX ON view_search_package (repository, name_key);
CREATE INDEX ON view_search_package USING gin (name_key gin_trgm_ops) WITH (gin_pending_list_limit = 256);

-- How many artifacts of each type a repository has, so that counting everything costs nothing.
CREATE TABLE view_search_count (
    repository uuid NOT NULL, media_type text COLLATE "C" NOT NULL,
    artifacts bigint NOT NULL,
    PRIMARY KEY (repository, media_type)
) WITH (fillfactor = 50);
