-- Who is there and what they may: users, tokens, grants. Rows are of the present only; the past of permissions is in
-- the log. Times and texts come from the events, so that a rebuild gives the same rows.
CREATE TABLE view_user (
    user_id uuid PRIMARY KEY,
    kind text NOT NULL,
    username text NOT NULL, username_key text COLLATE "C" NOT NULL,
    email text NOT NULL, email_key text COLLATE "C" NOT NULL,
    display_name text, provider text NOT NULL,
    admin boolean NOT NULL, active boolean NOT NULL, must_change_password boolean NOT NULL,
    setup boolean NOT NULL, deleted boolean NOT NULL,
    sessions_after bigint NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, last_login_at timestamptz
);
-- not unique: claims in the log decide that, and an erased person has no name
CREATE INDEX ON view_user (username_key) WHERE NOT deleted;
CREATE INDEX ON view_user (email_key) WHERE NOT deleted;
CREATE INDEX ON view_user (admin) WHERE admin AND NOT deleted;

CREATE TABLE view_token (
    token uuid PRIMARY KEY,
    user_id uuid NOT NULL, name text NOT NULL, prefix text NOT NULL, hash text COLLATE "C" NOT NULL,
    scopes text NOT NULL, expires_at timestamptz, repositories text, repository uuid, description text,
    created_at timestamptz NOT NULL, created_by uuid, revoked boolean NOT NULL
);
CREATE INDEX ON view_token (hash);
CREATE INDEX ON view_token (user_id, created_at);
CREATE INDEX ON view_token (repository, created_at) WHERE repository IS NOT NULL;

CREATE TABLE view_grant (
    grant_id uuid PRIMARY KEY,
    principal_type text NOT NULL, principal uuid NOT NULL, target_type text NOT NULL, target uuid NOT NULL,
    actions text NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
);
CREATE INDEX ON view_grant (principal, target);
CREATE INDEX ON view_grant (target);

-- sessions that ended early, for as long as a token of theirs may be around
CREATE TABLE view_session_end (
    session uuid PRIMARY KEY,
    ended_at timestamptz NOT NULL
);
CREATE INDEX ON view_session_end (ended_at);

-- the last position that changed what a principal may; the nil principal stands for everybody
CREATE TABLE view_access_change (
    principal uuid PRIMARY KEY,
    position bigint NOT NULL
);
CREATE INDEX ON view_access_change (position);

-- What follows is outside the log and is not rebuilt from it.

-- a key per person, wrapped by the key of this instance; NULL when the person was erased
CREATE TABLE person_key (
    person uuid PRIMARY KEY,
    wrapped bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz,
    CHECK ((wrapped IS NULL) = (erased_at IS NOT NULL))
);

CREATE TABLE token_use (
    token uuid PRIMARY KEY,
    last_used_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- tickets live for seconds: after a crash nobody misses them
CREATE UNLOGGED TABLE download_ticket (
    hash bytea PRIMARY KEY,
    path text NOT NULL,
    holder bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON download_ticket (expires_at);
