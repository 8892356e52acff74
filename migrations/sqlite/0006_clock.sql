-- The latest moment that an issuer on this database has seen on its clock: an earlier one now means that the clock was set back.
CREATE TABLE clock (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    seen_at_ms INTEGER NOT NULL,
    -- How often stored moments were moved because the clock was set. A process that knows another number has to read again.
    steps      INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What is stored says what an earlier version has seen. A key whose private half was wiped had reached the end of its time.
INSERT INTO clock (id, seen_at_ms)
SELECT 1, max(
    0,
    coalesce((SELECT max(published_at_ms) FROM signing_keys), 0),
    coalesce((SELECT max(withdrawn_at_ms) FROM signing_keys WHERE private_key IS NULL), 0),
    coalesce((SELECT at_ms FROM ledger ORDER BY seq DESC LIMIT 1), 0)
);

-- Whether the key has been withdrawn. It stays withdrawn, whatever the clock says.
ALTER TABLE signing_keys ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1));

UPDATE signing_keys SET withdrawn = 1 WHERE private_key IS NULL;

CREATE TRIGGER signing_keys_withdrawn_is_final BEFORE UPDATE ON signing_keys WHEN OLD.withdrawn = 1 AND NEW.withdrawn <> 1 BEGIN
    SELECT RAISE(ABORT, 'a withdrawn key stays withdrawn');
END;
