-- What is where: repositories, packages, versions, marks (tags, owners, status), artifacts. Current rows and, in `_h`,
-- closed ones with the positions between which they were true: since <= P < until.
CREATE TABLE view_repository (
    repository uuid PRIMARY KEY,
    key text COLLATE "C" NOT NULL, name text NOT NULL, description text, format text NOT NULL, kind text NOT NULL,
    public boolean NOT NULL, settings text NOT NULL, source uuid, source_position bigint,
    created_at timestamptz NOT NULL, created_by uuid, updated_at timestamptz NOT NULL,
    since bigint NOT NULL
);
CREATE UNIQUE INDEX ON view_repository (key);
CREATE TABLE view_repository_h (LIKE view_repository, until bigint NOT NULL, CHECK (since < until));
CREATE INDEX ON view_repository_h (repository, until);
CREATE INDEX ON view_repository_h (key, until);

CREATE TABLE view_package (
    repository uuid NOT NULL, package text COLLATE "C" NOT NULL,
    name text NOT NULL, created_at timestamptz NOT NULL,
    artifacts int NOT NULL, updated_at timestamptz NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (repository, package)
);
CREATE TABLE view_package_h (LIKE view_package, until bigint NOT NULL, CHECK (since < until));
CREATE INDEX ON view_package_h (repository, package, until);

CREATE TABLE view_version (
    repository uuid NOT NULL, package text COLLATE "C" NOT NULL, version text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL, created_by uuid, yanked text, deprecated text,
    artifacts int NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (repository, package, version)
);
CREATE TABLE view_version_h (LIKE view_version, until bigint NOT NULL, CHECK (since < until));
CREATE INDEX ON view_version_h (repository, package, until);

CREATE TABLE view_mark (
    repository uuid NOT NULL, package text COLLATE "C" NOT NULL, kind text NOT NULL, name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (repository, package, kind, name)
);
CREATE TABLE view_mark_h (LIKE view_mark, until bigint NOT NULL, CHECK (since < until));
-- marks move without end: depth, not size, decides, hence ranges
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE INDEX ON view_mark_h USING gist (repository, package, int8range(since, until));

CREATE TABLE view_artifact (
    artifact uuid PRIMARY KEY,
    repository uuid NOT NULL, path text COLLATE "C" NOT NULL, package text COLLATE "C" NOT NULL,
    name text NOT NULL, version text COLLATE "C" NOT NULL, sha256 text NOT NULL, size_bytes bigint NOT NULL,
    media_type text NOT NULL, digests text NOT NULL, metadata text NOT NULL, metadata_blob text, blobs text NOT NULL,
    properties text NOT NULL, revision int NOT NULL, published_at timestamptz NOT NULL, published_by uuid,
    since bigint NOT NULL
);
CREATE UNIQUE INDEX ON view_artifact (repository, path);
CREATE INDEX ON view_artifact (repository, package);
CREATE TABLE view_artifact_h (LIKE view_artifact, until bigint NOT NULL, CHECK (since < until));
CREATE INDEX ON view_artifact_h (repository, package, until);
CREATE INDEX ON view_artifact_h (repository, path, until);
CREATE INDEX ON view_artifact_h (artifact, until);

-- Which blob is, or was, needed by which artifact. `until` is null while it is.
CREATE TABLE view_blob (
    sha256 text COLLATE "C" NOT NULL, artifact uuid NOT NULL, since bigint NOT NULL,
    repository uuid NOT NULL, size_bytes bigint, until bigint,
    PRIMARY KEY (sha256, artifact, since)
);
CREATE INDEX ON view_blob (artifact) WHERE until IS NULL;

-- What a repository holds now, kept by deltas.
CREATE TABLE view_storage (
    repository uuid PRIMARY KEY, artifacts bigint NOT NULL, logical_bytes bigint NOT NULL
);

-- The positions at which a scope (`package:<name>`, `packages`, `tree`, `repositories`) changed.
CREATE TABLE view_revision (
    repository uuid NOT NULL, scope text COLLATE "C" NOT NULL, revision bigint NOT NULL,
    PRIMARY KEY (repository, scope, revision)
);
CREATE INDEX ON view_revision (revision);

-- Names that auditors gave to positions.
CREATE TABLE view_checkpoint (
    name text COLLATE "C" PRIMARY KEY, position bigint NOT NULL, named_at timestamptz NOT NULL, named_by uuid
);
