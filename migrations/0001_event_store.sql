-- The log. Column names follow the event sourcing library; `notification_id` is the position: 1, 2, 3 … without holes.
CREATE TABLE es_events (
    originator_id      uuid        NOT NULL,
    originator_version bigint      NOT NULL,
    topic              text        NOT NULL,
    state              bytea       NOT NULL,
    notification_id    bigint      NOT NULL,
    repository         uuid,
    recorded_at        timestamptz NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX es_events_position ON es_events (notification_id);
CREATE INDEX es_events_repository ON es_events (repository, notification_id);

-- The row whose update is the lock that orders all appends.
CREATE TABLE es_head (
    id       int         PRIMARY KEY CHECK (id = 1),
    position bigint      NOT NULL,
    at       timestamptz NOT NULL
) WITH (fillfactor = 10);
INSERT INTO es_head VALUES (1, 0, '1970-01-01 00:00:00+00');

-- Commands that are in the log, so that one sent twice is recognised. Pruned after days.
CREATE TABLE es_command (
    command_id uuid        PRIMARY KEY,
    position   bigint      NOT NULL,
    at         timestamptz NOT NULL
);
CREATE INDEX es_command_at ON es_command (at);

-- Bounded sums (quotas), kept exact in the transaction that appends.
CREATE TABLE es_counter (
    key  text   PRIMARY KEY,
    used bigint NOT NULL,
    cap  bigint,
    CONSTRAINT es_counter_cap CHECK (cap IS NULL OR used <= cap)
) WITH (fillfactor = 50);

-- How far each projection has come, and under which leader.
CREATE TABLE es_tracking (
    projection text        PRIMARY KEY,
    position   bigint      NOT NULL DEFAULT 0,
    epoch      bigint      NOT NULL DEFAULT 0,
    at         timestamptz NOT NULL DEFAULT now(),
    failed_at  bigint,
    error      text
) WITH (fillfactor = 50);

-- Append a batch of commands; the only door to es_events.
--
-- Event i belongs to command cmds[i] (1 … k, not decreasing); command_ids has k members; guards change counters on
-- behalf of a command. Returns for each command the position of its first event, NULL for a version conflict, -1 for
-- a counter at its cap. A command whose id is already in the log is answered with its old position and not stored.
CREATE FUNCTION es_append(
    cmds int[], ids uuid[], versions bigint[], topics text[], states bytea[], repos uuid[],
    command_ids uuid[], guard_cmds int[], guard_keys text[], guard_deltas bigint[]
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    total   int := cardinality(ids);
    base    bigint;
    stamp   timestamptz;
    used_up bigint := 0;
    size    bigint;
    earlier bigint;
    result  bigint[];
BEGIN
    UPDATE es_head SET position = position + total, at = greatest(clock_timestamp(), at) WHERE id = 1
    RETURNING position - total, at INTO base, stamp;
    BEGIN
        INSERT INTO es_events (originator_id, originator_version, topic, state, notification_id, repository, recorded_at)
        SELECT e.id, e.version, e.topic, e.state, base + e.ordinal, e.repo, stamp
        FROM unnest(ids, versions, topics, states, repos) WITH ORDINALITY
             AS e (id, version, topic, state, repo, ordinal);
        SELECT array_agg(f.first ORDER BY f.cmd) INTO result
        FROM (SELECT c.cmd, base + min(c.ordinal) AS first
              FROM unnest(cmds) WITH ORDINALITY AS c (cmd, ordinal) GROUP BY c.cmd) AS f;
        INSERT INTO es_command (command_id, position, at)
        SELECT c.id, c.first, stamp FROM unnest(command_ids, result) AS c (id, first);
        IF cardinality(guard_cmds) > 0 THEN
            INSERT INTO es_counter AS c (key, used)
            SELECT g.key, sum(g.delta) FROM unnest(guard_keys, guard_deltas) AS g (key, delta) GROUP BY g.key
            ORDER BY g.key
            ON CONFLICT (key) DO UPDATE SET used = c.used + excluded.used;
        END IF;
        PERFORM pg_notify('es_append', (base + total)::text);
        RETURN result;
    EXCEPTION WHEN unique_violation OR check_violation THEN
        NULL;  -- somebody in the batch collides: go one by one below
    END;
    result := array_fill(NULL::bigint, ARRAY[cardinality(command_ids)]);
    FOR k IN 1 .. cardinality(command_ids) LOOP
        SELECT position INTO earlier FROM es_command WHERE command_id = command_ids[k];
        IF FOUND THEN
            result[k] := earlier;
            CONTINUE;
        END IF;
        BEGIN
            INSERT INTO es_events
                (originator_id, originator_version, topic, state, notification_id, repository, recorded_at)
            SELECT e.id, e.version, e.topic, e.state,
                   base + used_up + row_number() OVER (ORDER BY e.ordinal), e.repo, stamp
            FROM unnest(cmds, ids, versions, topics, states, repos) WITH ORDINALITY
                 AS e (cmd, id, version, topic, state, repo, ordinal)
            WHERE e.cmd = k;
            GET DIAGNOSTICS size = ROW_COUNT;
            INSERT INTO es_command (command_id, position, at) VALUES (command_ids[k], base + used_up + 1, stamp);
            INSERT INTO es_counter AS c (key, used)
            SELECT g.key, sum(g.delta) FROM unnest(guard_cmds, guard_keys, guard_deltas) AS g (cmd, key, delta)
            WHERE g.cmd = k GROUP BY g.key ORDER BY g.key
            ON CONFLICT (key) DO UPDATE SET used = c.used + excluded.used;
            result[k] := base + used_up + 1;
            used_up := used_up + size;
        EXCEPTION
            WHEN unique_violation THEN result[k] := NULL;
            WHEN check_violation THEN result[k] := -1;
        END;
    END LOOP;
    UPDATE es_head SET position = base + used_up WHERE id = 1;
    IF used_up > 0 THEN
        PERFORM pg_notify('es_append', (base + used_up)::text);
    END IF;
    RETURN result;
END $$;

-- Time to position: times never decrease with positions, so a search by halves needs no index of its own.
CREATE FUNCTION es_position_at(moment timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    low    bigint := 0;
    high   bigint := (SELECT position FROM es_head);
    middle bigint;
BEGIN
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF (SELECT recorded_at FROM es_events WHERE notification_id = middle) <= moment THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- The table itself takes no other writes, whoever connects: not even its owner changes history by accident.
CREATE FUNCTION es_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the event log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER es_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON es_events
    FOR EACH STATEMENT EXECUTE FUNCTION es_refuse();
