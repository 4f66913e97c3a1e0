-- What only the export and the import of a whole household need.
-- {schema} and {table} are composed as identifiers, all else is bound.

-- name: is_empty
SELECT NOT EXISTS (SELECT FROM {schema}.{table})

-- name: clear
-- Under the writer 'purge': nothing remains of the rows, not even tombstones.
DELETE FROM {schema}.{table}

-- name: forget_answers
-- What a device sends again is decided anew, on the rows that are here now: an answer from
-- before the import would tell of an effect that is gone.
DELETE FROM {schema}.sync_fate

-- name: forget_past
DELETE FROM {schema}.sync_transaction

-- name: forget_conflicts
DELETE FROM {schema}.sync_conflict

-- name: start_devices_over
-- They learn of the new epoch from their cursors. What they had to heal belongs to the old one.
UPDATE {schema}.sync_device SET read_seq = 0, is_healing = false
