-- Where in the log an auditor's question is answered: one row for each event, without its body, which the log keeps.
CREATE TABLE view_audit (
    position bigint PRIMARY KEY,
    at timestamptz NOT NULL, topic text COLLATE "C" NOT NULL,
    actor uuid, actor_kind text COLLATE "C" NOT NULL, via text NOT NULL,
    action text COLLATE "C" NOT NULL, outcome text COLLATE "C" NOT NULL,
    resource_type text COLLATE "C" NOT NULL, resource_id uuid,
    repository uuid, package text COLLATE "C", path text COLLATE "C",
    request text COLLATE "C", cause bigint, origin_instance text, origin_position bigint
);
-- Few distinct values, each growing at its end: cheap to keep, and a page of any of them is one walk.
CREATE INDEX ON view_audit (action, position);
CREATE INDEX ON view_audit (resource_type, position);
CREATE INDEX ON view_audit (actor_kind, position) WHERE actor_kind <> 'user';
CREATE INDEX ON view_audit (outcome, position) WHERE outcome <> 'success';
CREATE INDEX ON view_audit (actor, position) WHERE actor IS NOT NULL;
CREATE INDEX ON view_audit (repository, position) WHERE repository IS NOT NULL;
CREATE INDEX ON view_audit (package, position) WHERE package IS NOT NULL;
CREATE INDEX ON view_audit (resource_id, position) WHERE resource_id IS NOT NULL;
CREATE INDEX ON view_audit (path, position) WHERE path IS NOT NULL;
-- Many values with a handful of rows each: found by hash, sorted afterwards.
CREATE INDEX ON view_audit USING hash (request);
