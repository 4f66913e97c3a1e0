-- Sync requests, their answers, and who is here: what people look at, never what the engine
-- decides by. None of it takes the household's lock.

-- name: recent_request
SELECT id::text FROM {schema}.sync_request
WHERE at_ms > %(since_ms)s ORDER BY at_ms DESC LIMIT 1

-- name: write_request
INSERT INTO {schema}.sync_request (id, by, at_ms) VALUES (%(id)s::uuid, %(by)s, %(at_ms)s)

-- name: prune_requests
DELETE FROM {schema}.sync_request WHERE id NOT IN (
    SELECT id FROM {schema}.sync_request ORDER BY at_ms DESC LIMIT %(keep)s
)

-- name: prune_reports
DELETE FROM {schema}.sync_report
WHERE request_id NOT IN (SELECT id FROM {schema}.sync_request)

-- name: note_asked
-- The answer may be here already: then it stays.
INSERT INTO {schema}.sync_report
    (request_id, device_id, at_ms, outcome, sent, received, pending)
SELECT r.id, asked.id, 0, '', 0, 0, 0
FROM {schema}.sync_request r, unnest(%(devices)s::uuid[]) AS asked (id)
WHERE r.id = %(request)s::uuid
ON CONFLICT (request_id, device_id) DO NOTHING

-- name: take_report
-- What nobody asked for is dropped.
INSERT INTO {schema}.sync_report
    (request_id, device_id, at_ms, outcome, sent, received, pending)
SELECT r.id, %(device)s::uuid, %(at_ms)s, %(outcome)s, %(sent)s, %(received)s, %(pending)s
FROM {schema}.sync_request r WHERE r.id = %(request)s::uuid
ON CONFLICT (request_id, device_id) DO UPDATE SET
    at_ms = excluded.at_ms, outcome = excluded.outcome, sent = excluded.sent,
    received = excluded.received, pending = excluded.pending

-- name: reports_of
SELECT device_id::text, at_ms, outcome, sent, received, pending
FROM {schema}.sync_report WHERE request_id = %(request)s::uuid

-- name: notify
SELECT pg_notify(%(channel)s, %(payload)s)

-- name: note_left
-- Unless the device has come back meanwhile, on another socket. Its last words about its
-- outbox, less what was settled after them.
UPDATE {schema}.sync_device d SET
    left_ms = %(now_ms)s,
    pending = %(pending)s,
    oldest_pending_ms = CASE WHEN %(pending)s = 0 THEN 0 ELSE d.oldest_pending_ms END,
    refused = d.refused + %(refused)s,
    read_seq = CASE WHEN h.epoch = %(epoch)s THEN greatest(d.read_seq, least(%(read_seq)s, h.seq))
                    ELSE d.read_seq END
FROM {schema}.sync_head h
WHERE d.id = %(device)s::uuid AND d.last_seen_ms <= %(seen_ms)s

-- name: add_deliveries
INSERT INTO {schema}.sync_delivery AS d (hour_ms, bucket, count)
SELECT r.hour_ms, r.bucket, r.count
FROM json_to_recordset(%(counts)s::json) AS r (hour_ms bigint, bucket smallint, count bigint)
ON CONFLICT (hour_ms, bucket) DO UPDATE SET count = d.count + excluded.count
