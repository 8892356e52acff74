-- Accounts at ACME servers: one for each directory URL. All keys here are sealed under the key file.
CREATE TABLE acme_accounts (
    directory     TEXT PRIMARY KEY,
    -- Stored before the server hears of it.
    private_key   BLOB NOT NULL,
    -- The account's URL, once the server has told it.
    url           TEXT,
    -- What the server was told, as a JSON array.
    contact       TEXT NOT NULL,
    -- The key of a rollover that has begun. Which of both the server knows must be asked.
    pending_key   BLOB,
    created_at_ms INTEGER NOT NULL
) STRICT;

-- The order under way: one at most.
CREATE TABLE acme_orders (
    slot          INTEGER PRIMARY KEY CHECK (slot = 1),
    id            TEXT NOT NULL,
    directory     TEXT NOT NULL,
    names         TEXT NOT NULL,
    url           TEXT NOT NULL,
    -- The key of the certificate to be.
    private_key   BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

-- Answers to HTTP-01 challenges of the order under way: any node gives them.
CREATE TABLE acme_challenges (
    token             TEXT PRIMARY KEY,
    key_authorization TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE acme_certificates (
    -- In the order in which they were stored, whatever the clocks said.
    seq             INTEGER PRIMARY KEY,
    -- The order's.
    id              TEXT NOT NULL UNIQUE,
    directory       TEXT NOT NULL,
    -- PEM, the issuer's own first.
    chain           TEXT NOT NULL,
    -- NULL once it is superseded for good.
    private_key     BLOB,
    not_after_ms    INTEGER NOT NULL,
    stored_at_ms    INTEGER NOT NULL,
    -- The server's renewal information (RFC 9773), and when it is looked up next.
    window_start_ms INTEGER,
    window_end_ms   INTEGER,
    explanation_url TEXT,
    lookup_at_ms    INTEGER
) STRICT;

-- What the nodes agree on: who orders, what an operator asked for, what failed.
CREATE TABLE acme_state (
    id                       INTEGER PRIMARY KEY CHECK (id = 1),
    lease_holder             TEXT,
    lease_until_ms           INTEGER NOT NULL DEFAULT 0,
    renew_requested_at_ms    INTEGER,
    rollover_requested_at_ms INTEGER,
    failures                 INTEGER NOT NULL DEFAULT 0,
    failed_at_ms             INTEGER,
    failure_kind             TEXT,
    failure                  TEXT,
    retry_at_ms              INTEGER,
    -- The moments of the last failed validations, a JSON array of milliseconds.
    failed_validations       TEXT NOT NULL DEFAULT '[]'
) STRICT;

INSERT INTO acme_state (id) VALUES (1);
