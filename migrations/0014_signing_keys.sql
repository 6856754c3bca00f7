-- Keys that sign for repositories, and which of them a repository used when. Part of the catalogue's read model: a
-- document must never be rendered for a position with the keys of another. The private halves are sealed.
CREATE TABLE view_signing_key (
    key uuid PRIMARY KEY,
    repository uuid, name text NOT NULL, key_type text NOT NULL, algorithm text NOT NULL,
    public_key text NOT NULL, fingerprint text NOT NULL, key_id text NOT NULL,
    user_id text NOT NULL, uid_name text, uid_email text,
    sealed bytea NOT NULL, made_at timestamptz NOT NULL,
    state text NOT NULL, successor uuid, overlap_ends_at timestamptz,
    created_at timestamptz NOT NULL, created_by uuid, last_used_at timestamptz
);
CREATE INDEX ON view_signing_key (repository) WHERE repository IS NOT NULL;
CREATE INDEX ON view_signing_key (overlap_ends_at) WHERE state = 'overlapping';

CREATE TABLE view_repository_signing (
    repository uuid PRIMARY KEY,
    keys text NOT NULL,
    sign_metadata boolean NOT NULL, sign_packages boolean NOT NULL, require_signatures boolean NOT NULL,
    since bigint NOT NULL
);
CREATE TABLE view_repository_signing_h (LIKE view_repository_signing, until bigint NOT NULL, CHECK (since < until));
CREATE INDEX ON view_repository_signing_h (repository, until);

CREATE TABLE view_artifact_signature (
    artifact uuid NOT NULL, sha256 text NOT NULL, key uuid NOT NULL,
    signature text NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (artifact, sha256, key)
);
