-- Every write is noticed. These functions live in each household's schema, so that a schema
-- can be dumped, restored and moved alone; they name everything by TG_TABLE_SCHEMA, never by
-- the search path of whoever writes.
--
-- finwise.writer (transaction-local):
--   'engine'  the engine writes: it has locked, stamped and numbered already
--   'purge'   compaction and test fixtures: rows really go
--   ''        anybody else: a shell, queryset.update, psql. Stamped and numbered here.
-- finwise.mark  "schema seq stamp" of what this transaction has taken already.

-- The household's lock comes before any row: a row locked first would deadlock with a writer
-- who holds the head and wants the row.
CREATE OR REPLACE FUNCTION sync_lock_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT FROM %I.sync_head FOR UPDATE', TG_TABLE_SCHEMA);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION sync_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of the synced table %.% is refused: devices would never hear of it',
        TG_TABLE_SCHEMA, TG_TABLE_NAME USING HINT = 'DELETE leaves tombstones, which travel.';
END $$;

-- One seq, fingerprint and stamp for all that a transaction writes outside the engine.
-- The stamp is later than every stamp the household has accepted (the server's node is zero).
CREATE OR REPLACE FUNCTION sync_take(target text, OUT seq bigint, OUT stamp text)
LANGUAGE plpgsql AS $$
DECLARE
    mark text[] := string_to_array(current_setting('finwise.mark', true), ' ');
    now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
    last text;
    last_ms bigint;
    counter int;
    print text := left(replace(gen_random_uuid()::text, '-', ''), 16);
BEGIN
    IF mark[1] = target THEN
        seq := mark[2]::bigint;
        stamp := mark[3];
        RETURN;
    END IF;
    EXECUTE format('SELECT h.stamp FROM %I.sync_head h', target) INTO last;
    counter := 0;
    IF last <> '' THEN
        last_ms := ('x0000' || substr(last, 1, 12))::bit(64)::bigint;
        IF last_ms >= now_ms THEN
            now_ms := last_ms;
            counter := ('x0000' || substr(last, 14, 4))::bit(32)::int + 1;
            IF counter > 65535 THEN
                now_ms := now_ms + 1;
                counter := 0;
            END IF;
        END IF;
    END IF;
    stamp := lpad(to_hex(now_ms), 12, '0') || '-' || lpad(to_hex(counter), 4, '0')
        || '-0000000000000000';
    EXECUTE format(
        'UPDATE %I.sync_head h SET seq = h.seq + 1, fingerprint = $1, stamp = $2 RETURNING h.seq',
        target) INTO STRICT seq USING print, stamp;
    EXECUTE format(
        'INSERT INTO %I.sync_transaction (seq, fingerprint, device_id, at_ms)
         VALUES ($1, $2, NULL, $3)', target) USING seq, print, now_ms;
    PERFORM set_config('finwise.mark', target || ' ' || seq || ' ' || stamp, true);
    -- Delivered at commit, once for each transaction; may be lost, the heartbeat makes up for it.
    PERFORM pg_notify('finwise_news', target || ' ' || seq);
END $$;

-- account_group_id -> accountGroupId, as the registry spells wire names.
CREATE OR REPLACE FUNCTION sync_wire_name(col text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(col, 1) || substr(replace(initcap(replace(col, '_', ' ')), ' ', ''), 2)
$$;

CREATE OR REPLACE FUNCTION sync_stamp_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    taken record;
    is_here boolean;
    texts jsonb;
    changed jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT OLD.sync_exists THEN
            RETURN NULL;  -- a tombstone stays
        END IF;
        EXECUTE format('SELECT * FROM %I.sync_take($1)', TG_TABLE_SCHEMA)
            INTO taken USING TG_TABLE_SCHEMA;
        PERFORM set_config('finwise.writer', 'engine', true);
        EXECUTE format(
            'UPDATE %I.%I SET sync_exists = false, sync_seq = $2,
                 sync_stamps = sync_stamps || jsonb_build_object(''exists'', $3)
             WHERE id = $1', TG_TABLE_SCHEMA, TG_TABLE_NAME)
            USING OLD.id, taken.seq, taken.stamp;
        PERFORM set_config('finwise.writer', '', true);
        RETURN NULL;
    END IF;

    -- Text is stored in one normal form, as the devices compare it.
    SELECT jsonb_object_agg(key, normalize(value #>> '{}', NFC)) INTO texts
    FROM jsonb_each(to_jsonb(NEW))
    WHERE jsonb_typeof(value) = 'string' AND NOT (value #>> '{}') IS NFC NORMALIZED;
    IF texts IS NOT NULL THEN
        NEW := jsonb_populate_record(NEW, texts);
    END IF;

    IF TG_OP = 'INSERT' THEN
        EXECUTE format('SELECT sync_exists FROM %I.%I WHERE id = $1', TG_TABLE_SCHEMA, TG_TABLE_NAME)
            INTO is_here USING NEW.id;
        EXECUTE format('SELECT * FROM %I.sync_take($1)', TG_TABLE_SCHEMA)
            INTO taken USING TG_TABLE_SCHEMA;
        IF NOT is_here THEN
            -- A revival: every field is written anew with a later stamp, so nothing of the
            -- tombstone remains.
            PERFORM set_config('finwise.writer', 'purge', true);
            EXECUTE format('DELETE FROM %I.%I WHERE id = $1', TG_TABLE_SCHEMA, TG_TABLE_NAME)
                USING NEW.id;
            PERFORM set_config('finwise.writer', '', true);
        END IF;
        NEW.sync_exists := true;
        NEW.sync_stamps := jsonb_build_object('*', taken.stamp);
        NEW.sync_seq := taken.seq;
        RETURN NEW;
    END IF;

    IF NEW.id IS DISTINCT FROM OLD.id THEN
        RAISE EXCEPTION 'The id of a synced row cannot change (%.%)', TG_TABLE_SCHEMA, TG_TABLE_NAME;
    END IF;
    NEW.sync_exists := OLD.sync_exists;
    NEW.sync_stamps := OLD.sync_stamps;
    NEW.sync_seq := OLD.sync_seq;
    IF to_jsonb(NEW) = to_jsonb(OLD) THEN
        RETURN NEW;
    END IF;
    EXECUTE format('SELECT * FROM %I.sync_take($1)', TG_TABLE_SCHEMA)
        INTO taken USING TG_TABLE_SCHEMA;
    EXECUTE format(
        'SELECT jsonb_object_agg(%I.sync_wire_name(n.key), $3)
         FROM jsonb_each($1) n JOIN jsonb_each($2) o USING (key)
         WHERE n.value IS DISTINCT FROM o.value', TG_TABLE_SCHEMA)
        INTO changed USING to_jsonb(NEW), to_jsonb(OLD), taken.stamp;
    NEW.sync_stamps := OLD.sync_stamps || changed;
    NEW.sync_seq := taken.seq;
    RETURN NEW;
END $$;
