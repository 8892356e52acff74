-- What is known of each alarm; the nodes of an issuer share it.
CREATE TABLE alarms (
    kind        TEXT NOT NULL,
    -- Of which of several things; empty where there is one alone.
    subject     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'firing', 'over')),
    severity    TEXT NOT NULL,
    -- What was seen last, and what to do about it.
    detail      TEXT NOT NULL,
    fix         TEXT NOT NULL,
    since_ms    INTEGER NOT NULL,
    seen_at_ms  INTEGER NOT NULL,
    -- When a firing alarm was told last, or when it was found to be over.
    state_at_ms INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

-- Notices that have not arrived yet: a row for each sink.
CREATE TABLE alarm_notices (
    id       TEXT PRIMARY KEY,
    sink     TEXT NOT NULL,
    made_ms  INTEGER NOT NULL,
    -- Its place among the notices that were made at once.
    place    INTEGER NOT NULL,
    -- JSON.
    body     TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    -- Not tried before: a node that takes a notice moves this on, and no other node takes it meanwhile.
    due_ms   INTEGER NOT NULL
) STRICT;
