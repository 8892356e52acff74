-- Times are seconds since the epoch, or milliseconds in columns that end in `_ms`.

-- Whose data this is. Written once, compared at every start.
CREATE TABLE stamp (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    issuer      TEXT NOT NULL,
    environment TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    id          TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    subject     TEXT NOT NULL,
    attributes  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT;

CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE bearers (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    secret_hash  TEXT NOT NULL UNIQUE,
    rule         TEXT,
    attributes   TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER
) STRICT;

-- A revoked bearer's name may be used again.
CREATE UNIQUE INDEX bearers_name ON bearers (name) WHERE revoked_at IS NULL;

CREATE TABLE signing_keys (
    kid             TEXT PRIMARY KEY,
    algorithm       TEXT NOT NULL,
    -- The public half, as a JWK set of one.
    jwks            TEXT NOT NULL,
    certificate     BLOB,
    -- Sealed under the key file; NULL once the key is withdrawn.
    private_key     BLOB,
    published_at_ms INTEGER NOT NULL,
    active_at_ms    INTEGER NOT NULL,
    retiring_at_ms  INTEGER,
    withdrawn_at_ms INTEGER
) STRICT;

CREATE TABLE ledger (
    seq       INTEGER PRIMARY KEY,
    entry_id  TEXT NOT NULL UNIQUE,
    at_ms     INTEGER NOT NULL,
    outcome   TEXT NOT NULL,
    body      TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash      TEXT NOT NULL
) STRICT;

-- The end of the chain, sealed under the key file.
CREATE TABLE ledger_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL,
    hash TEXT NOT NULL,
    seal TEXT NOT NULL
) STRICT;

-- Against accidents. Intent is for the hash chain to show.
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_head_no_delete BEFORE DELETE ON ledger_head BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- The one way to append: a row of this view is a batch. It moves the head and writes the rows, or does nothing. One statement, so that no
-- transaction can be left open half-way. `rows` is a JSON array of [seq, entry_id, at_ms, outcome, body, prev_hash, hash].
CREATE VIEW ledger_batches (rows, old_seq, old_hash, new_seq, new_hash, new_seal) AS
    SELECT '', 0, '', 0, '', '' WHERE 0;

CREATE TRIGGER ledger_append INSTEAD OF INSERT ON ledger_batches BEGIN
    UPDATE ledger_head SET seq = NEW.new_seq, hash = NEW.new_hash, seal = NEW.new_seal
     WHERE id = 1 AND seq = NEW.old_seq AND hash = NEW.old_hash;
    SELECT RAISE(ABORT, 'the ledger''s head has moved') WHERE changes() <> 1;
    INSERT INTO ledger (seq, entry_id, at_ms, outcome, body, prev_hash, hash)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM json_each(NEW.rows);
    SELECT RAISE(ABORT, 'the batch has not as many rows as the head moves') WHERE changes() <> NEW.new_seq - NEW.old_seq;
END;

-- Written and emptied to learn whether the database takes writes.
CREATE TABLE write_checks (
    at_ms  INTEGER NOT NULL,
    filler BLOB NOT NULL
) STRICT;
