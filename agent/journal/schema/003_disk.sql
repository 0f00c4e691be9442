-- A new epoch counts its records for the cloud from 1 again: those up to this
-- number belong to the epochs before it.
ALTER TABLE epoch ADD COLUMN records_before INTEGER NOT NULL DEFAULT 0;

-- When the whole file was last read and found sound.
CREATE TABLE inspection (
  at INTEGER PRIMARY KEY
) STRICT;
