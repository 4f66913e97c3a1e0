-- What devices of older protocols were shown. Read and written under the head's lock, so that
-- two sockets of one browser take turns.

-- name: shown_of
SELECT entity, row_id::text, told_ms, last_stamp, versions::text FROM {schema}.sync_shown
WHERE device_id = %(device)s::uuid AND row_id = ANY(%(ids)s::uuid[])

-- name: shown_ids
SELECT entity, row_id::text FROM {schema}.sync_shown WHERE device_id = %(device)s::uuid

-- name: write_shown
INSERT INTO {schema}.sync_shown (device_id, entity, row_id, told_ms, last_stamp, versions)
SELECT %(device)s::uuid, s.entity, s.row_id, s.told_ms, s.last_stamp, s.versions
FROM jsonb_to_recordset(%(shown)s::jsonb)
    AS s (entity text, row_id uuid, told_ms bigint, last_stamp text, versions jsonb)
ON CONFLICT (device_id, entity, row_id) DO UPDATE SET
    told_ms = excluded.told_ms, last_stamp = excluded.last_stamp, versions = excluded.versions

-- name: forget_shown
DELETE FROM {schema}.sync_shown
WHERE device_id = %(device)s::uuid AND (entity, row_id::text) IN (
    SELECT s.entity, s.id FROM jsonb_to_recordset(%(rows)s::jsonb) AS s (entity text, id text)
)
