-- What devices of older protocols were shown. Read and written under the head's lock, so that
-- two sockets of one browser take turns.

-- name: shown_of
SELECT entity, row_id::text, told_ms, last_stamp, last_entry_ms, versions::text FROM {schema}.sync_shown
WHERE device_id = %(device)s::uuid AND row_id = ANY(%(ids)s::uuid[])

-- name: shown_ids
SELECT entity, row_id::text FROM {schema}.sync_shown WHERE device_id = %(device)s::uuid

-- name: write_shown
INSERT INTO {schema}.sync_shown (device_id, entity, row_id, told_ms, last_stamp, last_entry_ms, versions)
SELECT %(device)s::uuid, s.entity, s.row_id, s.told_ms, s.last_stamp, s.last_entry_ms,
    s.versions
FROM jsonb_to_recordset(%(shown)s::jsonb)
    AS s (entity text, row_id uuid, told_ms bigint, last_stamp text, last_entry_ms bigint,
          versions jsonb)
ON CONFLICT (device_id, entity, row_id) DO UPDATE SET
    told_ms = excluded.told_ms, last_stamp = excluded.last_stamp,
    last_entry_ms = excluded.last_entry_ms, versions = excluded.versions
