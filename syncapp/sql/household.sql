-- The engine's statements on a household's own tables. Each names its schema, so that no
-- search path can lead it astray. {schema} is composed as an identifier, all else is bound.

-- name: lock_head
-- A statement of its own: one that locks and reads rows at once would read them in the
-- snapshot from before the wait.
SELECT epoch, seq, fingerprint, stamp, horizon, compactions, compacted_seq
FROM {schema}.sync_head FOR UPDATE

-- name: keep_out
-- Not in ACCESS EXCLUSIVE: who reads, a dump for example, is in nobody's way.
LOCK TABLE {schema}.sync_head IN EXCLUSIVE MODE

-- name: read_head
SELECT epoch, seq, fingerprint, stamp, horizon, compactions, compacted_seq
FROM {schema}.sync_head

-- name: fingerprint_of
SELECT fingerprint FROM {schema}.sync_transaction WHERE seq = %(seq)s

-- name: visitor
-- The device and the member who speaks, in one round trip; either may be missing.
SELECT
    (SELECT to_jsonb(d) FROM {schema}.sync_device d WHERE d.id = %(device)s::uuid),
    (SELECT m.role FROM {schema}.sync_member m WHERE m.user_id = %(user)s::uuid)

-- name: members
SELECT user_id::text, role FROM {schema}.sync_member WHERE user_id = ANY(%(users)s::uuid[])

-- name: revoked
SELECT id::text FROM {schema}.sync_device WHERE id = ANY(%(devices)s::uuid[]) AND is_revoked

-- name: fates
SELECT key, number, stamp, digest, result FROM {schema}.sync_fate
WHERE device_id = %(device)s::uuid AND key = ANY(%(keys)s)

-- name: owners_of
SELECT id::text, user_id::text, name, node, former_nodes FROM {schema}.sync_device
WHERE node = ANY(%(nodes)s) OR former_nodes ?| %(nodes)s

-- name: new_conflicts
SELECT id::text FROM {schema}.sync_conflict WHERE id = ANY(%(ids)s::uuid[])

-- name: notify
SELECT pg_notify('finwise_news', %(payload)s)

-- name: writer
SELECT set_config('finwise.writer', %(writer)s, true)

-- name: write_head
UPDATE {schema}.sync_head SET
    epoch = %(epoch)s, seq = %(seq)s, fingerprint = %(fingerprint)s, stamp = %(stamp)s,
    horizon = %(horizon)s, compactions = %(compactions)s, compacted_seq = %(compacted_seq)s

-- name: write_transaction
INSERT INTO {schema}.sync_transaction (seq, fingerprint, device_id, at_ms, changes)
VALUES (%(seq)s, %(fingerprint)s, %(device)s, %(at_ms)s, %(changes)s)

-- name: write_conflicts
-- Columns by their names, here and below: while a new release is brought out, the tables may have
-- more of them than this process knows, and those have their defaults.
INSERT INTO {schema}.sync_conflict (id, entity, row_id, field,
    winning_value, winning_stamp, winning_device, winning_user,
    losing_value, losing_stamp, losing_device, losing_user, at_ms, sync_seq)
SELECT c.id, c.entity, c.row_id, c.field,
    c.winning_value, c.winning_stamp, c.winning_device, c.winning_user,
    c.losing_value, c.losing_stamp, c.losing_device, c.losing_user, c.at_ms, c.sync_seq
FROM jsonb_populate_recordset(NULL::{schema}.sync_conflict, %(conflicts)s::jsonb) c
ON CONFLICT (id) DO NOTHING

-- name: write_device
-- Without left_ms: who writes that holds no lock, and must not be overwritten by a push that
-- read the device before.
INSERT INTO {schema}.sync_device AS d (id, user_id, node, former_nodes, name, app, last_number,
    acknowledged, read_seq, last_seen_ms, reset, is_healing, is_revoked, pending,
    oldest_pending_ms, refused, parked, clock_offset_ms, protocol, told_ms, left_ms)
SELECT r.id, r.user_id, r.node, r.former_nodes, r.name, r.app, r.last_number,
    r.acknowledged, r.read_seq, r.last_seen_ms, r.reset, r.is_healing, r.is_revoked, r.pending,
    r.oldest_pending_ms, r.refused, r.parked, r.clock_offset_ms, r.protocol, r.told_ms, r.left_ms
FROM jsonb_populate_record(NULL::{schema}.sync_device, %(device)s::jsonb) r
ON CONFLICT (id) DO UPDATE SET
    user_id = excluded.user_id, node = excluded.node, former_nodes = excluded.former_nodes,
    name = excluded.name, app = excluded.app, last_number = excluded.last_number,
    acknowledged = excluded.acknowledged, read_seq = excluded.read_seq,
    last_seen_ms = excluded.last_seen_ms, reset = excluded.reset,
    is_healing = excluded.is_healing, is_revoked = excluded.is_revoked,
    pending = excluded.pending, oldest_pending_ms = excluded.oldest_pending_ms,
    refused = excluded.refused, parked = excluded.parked,
    clock_offset_ms = excluded.clock_offset_ms, protocol = excluded.protocol,
    told_ms = excluded.told_ms

-- name: write_fates
-- One JSON parameter: four arrays of texts cost the client more than this whole statement.
-- Not jsonb: the answer stays the text that it was.
INSERT INTO {schema}.sync_fate (device_id, key, number, stamp, digest, result, at_ms)
SELECT %(device)s::uuid, f.key, f.number, f.stamp, f.digest, f.result, %(at_ms)s
FROM json_to_recordset(%(fates)s::json)
    AS f (key text, number bigint, stamp text, digest text, result text)

-- name: write_refusals
INSERT INTO {schema}.sync_refusal (device_id, key, entity, row_id, field, code, at_ms)
SELECT %(device)s::uuid, r.key, r.entity, r.row_id, r.field, r.code, %(at_ms)s
FROM json_to_recordset(%(refusals)s::json)
    AS r (key text, entity text, row_id uuid, field text, code text)
ON CONFLICT (device_id, key) DO NOTHING

-- name: prune_fates
DELETE FROM {schema}.sync_fate
WHERE device_id = %(device)s::uuid AND number BETWEEN 1 AND %(acknowledged)s

-- name: count_devices
SELECT count(*) FROM {schema}.sync_device

-- name: forget_stalest_device
WITH stalest AS (
    DELETE FROM {schema}.sync_device WHERE id = (
        SELECT id FROM {schema}.sync_device ORDER BY last_seen_ms LIMIT 1
    ) RETURNING id
)
DELETE FROM {schema}.sync_fate WHERE device_id IN (SELECT id FROM stalest)

-- name: forget_device
WITH gone AS (
    DELETE FROM {schema}.sync_device WHERE id = %(device)s::uuid RETURNING id
), answers AS (
    DELETE FROM {schema}.sync_fate WHERE device_id IN (SELECT id FROM gone)
)
SELECT count(*) FROM gone

-- name: least_read_seq
-- A device that still has to heal the server holds everything back, as if it had read nothing.
SELECT min(CASE WHEN is_healing THEN 0 ELSE read_seq END) FROM {schema}.sync_device
WHERE last_seen_ms >= %(since_ms)s AND NOT is_revoked

-- name: prune_transactions
-- By the age of the one that followed: until then devices stood at this seq, however long the
-- household had been quiet, and they are not to start over because somebody wakes it.
DELETE FROM {schema}.sync_transaction old
WHERE EXISTS (
    SELECT FROM {schema}.sync_transaction next
    WHERE next.seq = old.seq + 1 AND next.at_ms < %(before_ms)s
)

-- name: prune_conflicts
DELETE FROM {schema}.sync_conflict WHERE at_ms < %(before_ms)s

-- name: prune_old_fates
-- Only those of dialects. A number's answer waits for its device: decided anew after a hundred
-- days, the same change could be re-stamped to then, over what others wrote meanwhile.
DELETE FROM {schema}.sync_fate WHERE number = 0 AND at_ms < %(before_ms)s

-- name: prune_refusals
DELETE FROM {schema}.sync_refusal WHERE at_ms < %(before_ms)s

-- name: prune_deliveries
DELETE FROM {schema}.sync_delivery WHERE hour_ms < %(before_ms)s

-- name: prune_shown
-- What a device was shown is kept longer than it counts as active: an app that lay in a drawer
-- for a year still sends whole records, and what is gone meanwhile must be known as gone.
DELETE FROM {schema}.sync_shown s
WHERE NOT EXISTS (
    SELECT FROM {schema}.sync_device d
    WHERE d.id = s.device_id AND d.last_seen_ms >= %(before_ms)s - 26784000000
)

-- name: seed_head
-- Seq 0 has a fingerprint too: a device that has read an empty household holds an anchor.
WITH head AS (
    INSERT INTO {schema}.sync_head (id, epoch, seq, fingerprint, stamp, horizon, compactions, compacted_seq)
    VALUES (1, %(epoch)s, 0, %(fingerprint)s, '', '', 0, 0)
    ON CONFLICT (id) DO NOTHING RETURNING seq, fingerprint
)
INSERT INTO {schema}.sync_transaction (seq, fingerprint, device_id, at_ms, changes)
SELECT seq, fingerprint, NULL, %(at_ms)s, 0 FROM head

-- name: write_member
INSERT INTO {schema}.sync_member (user_id, role) VALUES (%(user)s::uuid, %(role)s)
ON CONFLICT (user_id) DO UPDATE SET role = excluded.role

-- name: remove_member
DELETE FROM {schema}.sync_member WHERE user_id = %(user)s::uuid
