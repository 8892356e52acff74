-- Tokens that may be exchanged until they expire: from which networks each came, as a JSON list with the first one first, and how often in
-- the last minute of the clock in which it was used.
ALTER TABLE used_tokens ADD COLUMN networks TEXT NOT NULL DEFAULT '[]';

ALTER TABLE used_tokens ADD COLUMN minute INTEGER NOT NULL DEFAULT 0;

ALTER TABLE used_tokens ADD COLUMN minute_uses INTEGER NOT NULL DEFAULT 0;
