-- How a household is, for people: read in one snapshot, changes nothing.

-- name: head
SELECT h.epoch, h.seq,
    (SELECT max(t.at_ms) FROM {schema}.sync_transaction t WHERE t.seq > 0 AND t.seq = h.seq),
    (SELECT count(*) FROM {schema}.sync_member),
    (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
      WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r')
FROM {schema}.sync_head h

-- name: devices
-- How far behind: looked up once for each place where devices stand, and not beyond `most`
-- transactions, because a device of last spring may be a hundred thousand behind.
WITH places AS (
    SELECT p.read_seq, behind.changes, behind.transactions, behind.since_ms
    FROM (SELECT DISTINCT read_seq FROM {schema}.sync_device) p, LATERAL (
        SELECT coalesce(sum(t.changes), 0) AS changes, count(*) AS transactions,
            min(t.at_ms) AS since_ms
        FROM (
            SELECT changes, at_ms FROM {schema}.sync_transaction
            WHERE seq > p.read_seq ORDER BY seq LIMIT %(most)s
        ) t
    ) behind
), overruled AS (
    SELECT losing_device, count(*) AS count FROM {schema}.sync_conflict
    WHERE at_ms >= %(conflicts_since_ms)s GROUP BY losing_device
)
SELECT d.id::text, d.user_id::text, d.name, d.app, d.protocol, d.last_seen_ms, d.told_ms,
    d.left_ms, d.read_seq, d.pending, d.oldest_pending_ms, d.refused, d.parked,
    d.clock_offset_ms, d.reset, d.is_healing, d.is_revoked, m.role,
    p.changes, p.transactions, p.since_ms, coalesce(o.count, 0)
FROM {schema}.sync_device d
JOIN places p USING (read_seq)
LEFT JOIN overruled o ON o.losing_device = d.id
LEFT JOIN {schema}.sync_member m ON m.user_id = d.user_id
ORDER BY d.last_seen_ms DESC, d.id

-- name: turned_away
SELECT user_id::text, turned_away_code, (extract(epoch FROM turned_away_at) * 1000)::bigint
FROM public.tenants_membership
WHERE tenant_id = %(tenant)s AND turned_away_at >= to_timestamp(%(since_ms)s / 1000.0)
ORDER BY turned_away_at DESC

-- name: changes_by_hour
SELECT at_ms / 3600000 * 3600000 AS hour_ms, sum(changes)
FROM {schema}.sync_transaction WHERE at_ms >= %(since_ms)s GROUP BY 1

-- name: deliveries_by_hour
SELECT hour_ms, bucket, count FROM {schema}.sync_delivery WHERE hour_ms >= %(since_ms)s

-- name: recent_conflicts
-- Never the values.
SELECT at_ms, entity, row_id::text, field, winning_device::text, losing_device::text
FROM {schema}.sync_conflict ORDER BY sync_seq DESC, id LIMIT %(limit)s

-- name: recent_refusals
SELECT at_ms, entity, row_id::text, field, code, device_id::text
FROM {schema}.sync_refusal ORDER BY at_ms DESC, key LIMIT %(limit)s

-- name: last_request
SELECT id::text, by, at_ms FROM {schema}.sync_request ORDER BY at_ms DESC LIMIT 1
