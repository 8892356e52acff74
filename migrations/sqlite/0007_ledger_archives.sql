-- The archives that the ledger's oldest rows have left for, sealed under the key file. The last row of the newest one is what the first row
-- that is left builds on.
CREATE TABLE ledger_archives (
    last_seq       INTEGER PRIMARY KEY,
    first_seq      INTEGER NOT NULL,
    last_hash      TEXT NOT NULL,
    archived_at_ms INTEGER NOT NULL,
    -- Of the file's bytes before its last line.
    sha256         TEXT NOT NULL,
    seal           TEXT NOT NULL,
    CHECK (first_seq <= last_seq)
) STRICT;

-- Against accidents, as with the ledger itself.
CREATE TRIGGER ledger_archives_no_update BEFORE UPDATE ON ledger_archives BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_archives_no_delete BEFORE DELETE ON ledger_archives BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- An archive begins with the row after the one before, and its last row must be here as it says.
CREATE TRIGGER ledger_archives_in_order BEFORE INSERT ON ledger_archives BEGIN
    SELECT RAISE(ABORT, 'the archive does not begin where the ledger does')
     WHERE NEW.first_seq <> coalesce((SELECT max(last_seq) FROM ledger_archives), 0) + 1;
    SELECT RAISE(ABORT, 'the archive does not end with a row of the ledger')
     WHERE NOT EXISTS (SELECT 1 FROM ledger WHERE seq = NEW.last_seq AND hash = NEW.last_hash);
END;

-- What is archived may go, and nothing else.
DROP TRIGGER ledger_no_delete;
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger
WHEN OLD.seq > coalesce((SELECT max(last_seq) FROM ledger_archives), 0) BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- The prefixes that archived tokens were minted for: `tagmint sweep` asks for them. No repository is ''.
CREATE TABLE archived_prefixes (
    prefix     TEXT NOT NULL,
    repository TEXT NOT NULL,
    last_at_ms INTEGER NOT NULL,
    PRIMARY KEY (prefix, repository)
) STRICT, WITHOUT ROWID;

-- How many sessions a subject has is asked whenever one is opened.
CREATE INDEX sessions_subject ON sessions (subject, expires_at);
