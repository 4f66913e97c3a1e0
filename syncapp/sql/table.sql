-- The engine's statements on one synced table, composed once for each model (columns) and
-- schema. {columns} and the like are identifiers that the registry took from the model.

-- name: rows
SELECT id::text, {body}, sync_stamps::text FROM {schema}.{table} WHERE id = ANY(%(ids)s::uuid[])

-- name: arm
-- One table's share of a page, in reading order; {n} tells the arms' parameters apart.
-- "t.id", because a bare "id" in ORDER BY would be the text and pass by the index.
(SELECT t.sync_seq AS seq, {entity} AS entity, t.id::text AS id, {body} AS body,
        {stamps} AS stamps
 FROM {schema}.{table} t
 WHERE (t.sync_seq, t.id) > (%(seq_{n})s::bigint, %(id_{n})s::uuid)
 ORDER BY t.sync_seq, t.id LIMIT %(limit)s + 1)

-- name: page
-- At least one row, at most `limit`, and no more than `bytes` before the last one; `found`
-- tells whether there are more.
SELECT seq, entity, id, body, stamps, found FROM (
    SELECT p.*, count(*) OVER () AS found,
        sum(octet_length(body)) OVER reading - octet_length(body) AS before
    FROM ({arms}) p
    WINDOW reading AS (
        ORDER BY seq, entity COLLATE "C", id COLLATE "C" ROWS UNBOUNDED PRECEDING)
) q
WHERE before < %(bytes)s
ORDER BY seq, entity COLLATE "C", id COLLATE "C" LIMIT %(limit)s

-- name: upsert
-- The rows come by their wire names, and their stamps under "*", which no field can be called.
INSERT INTO {schema}.{table} ({columns}, sync_exists, sync_stamps, sync_seq)
SELECT {fields}, r."exists", r."*", %(seq)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r ({typed_fields}, "exists" boolean, "*" jsonb)
ON CONFLICT (id) DO UPDATE SET {assignments},
    sync_exists = excluded.sync_exists, sync_stamps = excluded.sync_stamps,
    sync_seq = excluded.sync_seq

-- name: compact
DELETE FROM {schema}.{table}
WHERE NOT sync_exists AND sync_seq <= %(up_to_seq)s
  AND (SELECT max(s.value COLLATE "C") FROM jsonb_each_text(sync_stamps) s) < %(before)s
RETURNING (SELECT max(s.value COLLATE "C") FROM jsonb_each_text(sync_stamps) s), sync_seq
