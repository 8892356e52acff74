-- When a key would begin to sign if it did not wait for STS to fetch it; active_at_ms is then the deadline of the wait.
ALTER TABLE signing_keys ADD COLUMN due_at_ms INTEGER;

-- Fetches of discovery and the key set, summed up by hour: who, from where, how it went.
CREATE TABLE document_fetches (
    hour_ms    INTEGER NOT NULL,
    class      TEXT NOT NULL,
    -- A /24 or /48, never a whole address; '(others)' with the agents where an hour had too many.
    network    TEXT NOT NULL,
    agent      TEXT NOT NULL,
    document   TEXT NOT NULL,
    status     INTEGER NOT NULL,
    fetches    INTEGER NOT NULL CHECK (fetches > 0),
    last_at_ms INTEGER NOT NULL,
    slowest_us INTEGER NOT NULL,
    total_us   INTEGER NOT NULL,
    PRIMARY KEY (hour_ms, class, network, agent, document, status)
) STRICT, WITHOUT ROWID;

-- Who was shown which key: one row for each key and class.
CREATE TABLE key_fetches (
    kid         TEXT NOT NULL,
    class       TEXT NOT NULL,
    first_at_ms INTEGER NOT NULL,
    last_at_ms  INTEGER NOT NULL,
    -- Of the last one.
    network     TEXT NOT NULL,
    agent       TEXT NOT NULL,
    fetches     INTEGER NOT NULL CHECK (fetches > 0),
    PRIMARY KEY (kid, class)
) STRICT, WITHOUT ROWID;
