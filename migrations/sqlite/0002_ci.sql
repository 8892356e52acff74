-- Tokens of CI platforms that were exchanged: each works once.
CREATE TABLE used_tokens (
    provider      TEXT NOT NULL,
    token_hash    TEXT NOT NULL,
    first_used_at INTEGER NOT NULL,
    -- Until then the token itself would be good: its expiry and the leeway.
    keep_until    INTEGER NOT NULL,
    uses          INTEGER NOT NULL CHECK (uses > 0),
    -- What the first use asked for.
    request_hash  TEXT NOT NULL,
    PRIMARY KEY (provider, token_hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX used_tokens_keep_until ON used_tokens (keep_until);

-- What a bearer is confined to: a JSON object of tag keys and prefixes.
ALTER TABLE bearers ADD COLUMN scope TEXT NOT NULL DEFAULT '{}';

-- The bearer that has the name since a rotation.
ALTER TABLE bearers ADD COLUMN replaced_by TEXT;

-- The name of a revoked or replaced bearer may be used again.
DROP INDEX bearers_name;

CREATE UNIQUE INDEX bearers_name ON bearers (name) WHERE revoked_at IS NULL AND replaced_by IS NULL;
