-- What sync_doctor asks and mends. {schema}, {table}, {column} and {target} are composed as
-- identifiers, all else is bound.

-- name: head
SELECT epoch, seq, fingerprint, stamp, horizon FROM {schema}.sync_head

-- name: newest_seq
-- Of what is not a synced row: the numbered transactions, and the conflicts.
SELECT greatest(
    (SELECT max(seq) FROM {schema}.sync_transaction),
    (SELECT max(sync_seq) FROM {schema}.sync_conflict), 0)

-- name: seqs
SELECT coalesce(max(sync_seq), 0), count(*) FILTER (WHERE sync_seq < 1) FROM {schema}.{table}

-- name: stamps
-- How many rows carry something that is no stamp, how many one from the future, and the
-- newest of all that is sane.
SELECT count(*) FILTER (WHERE is_malformed),
       count(*) FILTER (WHERE NOT is_malformed AND newest > %(future)s),
       max(newest) FILTER (WHERE NOT is_malformed AND newest <= %(future)s)
FROM (
    SELECT coalesce(bool_or(s.value !~ %(pattern)s), true)
               OR NOT coalesce(bool_or(s.key IN ('*', 'exists')), false) AS is_malformed,
           max(s.value COLLATE "C") AS newest
    FROM {schema}.{table} t
    LEFT JOIN LATERAL jsonb_each_text(
        CASE WHEN jsonb_typeof(t.sync_stamps) = 'object' THEN t.sync_stamps END) s ON true
    GROUP BY t.id
) looked

-- name: fingerprints
SELECT count(*), min(seq), max(seq), count(*) FILTER (WHERE fingerprint !~ %(pattern)s)
FROM {schema}.sync_transaction

-- name: fingerprint_of
SELECT fingerprint FROM {schema}.sync_transaction WHERE seq = %(seq)s

-- name: lost_references
SELECT count(*) FROM {schema}.{table} t
WHERE t.sync_exists AND t.{column} IS NOT NULL
  AND NOT EXISTS (SELECT FROM {schema}.{target} o WHERE o.id = t.{column})

-- name: members
SELECT user_id::text, role FROM {schema}.sync_member

-- name: odd_devices
-- The answers that are kept for a device belong to its counters.
SELECT count(*) FROM {schema}.sync_device d
WHERE acknowledged > last_number OR acknowledged < 0
   OR last_number < (SELECT coalesce(max(number), 0) FROM {schema}.sync_fate f
                     WHERE f.device_id = d.id)
   OR read_seq > %(seq)s OR read_seq < 0
   OR last_seen_ms > %(future_ms)s
   OR reset NOT IN ('', 'horizon', 'restored', 'operator')

-- name: answers_to_nobody
SELECT count(*) FROM {schema}.sync_fate f
WHERE NOT EXISTS (SELECT FROM {schema}.sync_device d WHERE d.id = f.device_id)

-- name: make_head
INSERT INTO {schema}.sync_head
    (id, epoch, seq, fingerprint, stamp, horizon, compactions, compacted_seq)
VALUES (1, %(epoch)s, %(seq)s, %(fingerprint)s, '', %(horizon)s, 0, 0)

-- name: mend_stamps
-- What is no stamp, or lies in the future, becomes now; so do all of a row that names none
-- for its existence. Such a row, and one without a seq, is told again.
UPDATE {schema}.{table} t SET sync_seq = %(seq)s, sync_stamps = coalesce(mended.stamps,
    jsonb_build_object('*', %(now)s::text))
FROM (
    SELECT r.id,
           jsonb_object_agg(s.key, CASE
               WHEN s.value ~ %(pattern)s AND (s.value COLLATE "C") <= %(future)s THEN s.value
               ELSE %(now)s::text END)
               FILTER (WHERE s.key IS NOT NULL)
           || CASE WHEN coalesce(bool_or(s.key IN ('*', 'exists')), false)
                   THEN '{{}}' ELSE jsonb_build_object('*', %(now)s::text) END AS stamps
    FROM {schema}.{table} r
    LEFT JOIN LATERAL jsonb_each_text(
        CASE WHEN jsonb_typeof(r.sync_stamps) = 'object' THEN r.sync_stamps END) s ON true
    GROUP BY r.id
) mended
WHERE t.id = mended.id
  AND (t.sync_seq < 1 OR t.sync_stamps IS DISTINCT FROM mended.stamps)

-- name: forget_before
DELETE FROM {schema}.sync_transaction WHERE seq < %(seq)s

-- name: fill_fingerprints
-- A device whose cursor is anchored in a gap finds another fingerprint than it knows, and
-- brings back what the server may have lost.
INSERT INTO {schema}.sync_transaction (seq, fingerprint, device_id, at_ms)
SELECT n, left(replace(gen_random_uuid()::text, '-', ''), 16), NULL, %(at_ms)s
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
ON CONFLICT (seq) DO NOTHING

-- name: mend_fingerprints
UPDATE {schema}.sync_transaction
SET fingerprint = left(replace(gen_random_uuid()::text, '-', ''), 16)
WHERE fingerprint !~ %(pattern)s

-- name: write_fingerprint
INSERT INTO {schema}.sync_transaction (seq, fingerprint, device_id, at_ms)
VALUES (%(seq)s, %(fingerprint)s, NULL, %(at_ms)s)
ON CONFLICT (seq) DO UPDATE SET fingerprint = excluded.fingerprint

-- name: forget_members
DELETE FROM {schema}.sync_member WHERE user_id <> ALL(%(users)s::uuid[])

-- name: mend_devices
UPDATE {schema}.sync_device d SET
    acknowledged = greatest(acknowledged, 0),
    last_number = greatest(last_number, acknowledged,
        (SELECT max(number) FROM {schema}.sync_fate f WHERE f.device_id = d.id)),
    read_seq = least(greatest(read_seq, 0), %(seq)s),
    last_seen_ms = least(last_seen_ms, %(now_ms)s),
    reset = CASE WHEN reset IN ('', 'horizon', 'restored', 'operator') THEN reset ELSE '' END

-- name: forget_answers_to_nobody
DELETE FROM {schema}.sync_fate f
WHERE NOT EXISTS (SELECT FROM {schema}.sync_device d WHERE d.id = f.device_id)

-- name: ask_devices_to_heal
UPDATE {schema}.sync_device SET reset = 'restored', is_healing = true
