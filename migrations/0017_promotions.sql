-- What was promoted or rejected, a row for each file, and the requests for it.
CREATE TABLE view_promotion (
    promotion uuid NOT NULL,
    artifact uuid NOT NULL,
    position bigint NOT NULL,
    source uuid NOT NULL, target uuid,
    path text NOT NULL, sha256 text NOT NULL,
    status text NOT NULL, reason text, notes text,
    made_at timestamptz NOT NULL, made_by uuid,
    PRIMARY KEY (promotion, artifact)
);
CREATE INDEX ON view_promotion (source, position);
CREATE INDEX ON view_promotion (artifact, position);

CREATE TABLE view_approval (
    approval uuid PRIMARY KEY,
    position bigint NOT NULL,
    source uuid NOT NULL, target uuid NOT NULL,
    artifact uuid NOT NULL, path text NOT NULL,
    status text NOT NULL, notes text, policy_skipped boolean NOT NULL,
    requested_by uuid NOT NULL, requested_at timestamptz NOT NULL,
    reviewed_by uuid, reviewed_at timestamptz, review_notes text
);
CREATE INDEX ON view_approval (source, position);
CREATE INDEX ON view_approval (status, position);
