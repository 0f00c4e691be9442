-- What a register last said of itself, so that it can be told while the
-- register is away, also after a restart. JSON; '' where it was never asked.
ALTER TABLE pairing ADD COLUMN identity TEXT NOT NULL DEFAULT '';
