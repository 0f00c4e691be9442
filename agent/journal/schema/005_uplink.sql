-- A record says what was so when it was written, also when it is read again
-- later: the cloud takes the same number with other content for a clone.
-- Null in records that are older than this schema: as it is now.
ALTER TABLE record ADD COLUMN register TEXT;
ALTER TABLE record ADD COLUMN attempts INTEGER;
ALTER TABLE record ADD COLUMN printed INTEGER;

-- How far the cloud has acknowledged an epoch's records, by the epoch's own
-- count, and how often it was connected to.
CREATE TABLE uplink (
  epoch   INTEGER PRIMARY KEY REFERENCES epoch (number),
  acked   INTEGER NOT NULL DEFAULT 0,
  session INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TRIGGER uplink_forward BEFORE UPDATE ON uplink
WHEN NEW.acked < OLD.acked OR NEW.session < OLD.session OR NEW.epoch <> OLD.epoch
BEGIN SELECT RAISE(ABORT, 'acknowledgements only go forward'); END;

-- Records that no broker takes. They stay where they are; an alert is told in
-- their place.
CREATE TABLE apart (
  seq INTEGER PRIMARY KEY REFERENCES record (seq),
  at  INTEGER NOT NULL,
  why TEXT    NOT NULL
) STRICT;

CREATE TRIGGER apart_fixed BEFORE UPDATE ON apart BEGIN SELECT RAISE(ABORT, 'what is set apart stays so'); END;

-- What a health record says, until the cloud has it; a later one says it better.
CREATE TABLE health (
  seq  INTEGER PRIMARY KEY REFERENCES record (seq),
  data BLOB NOT NULL
) STRICT;

-- Finds the shift that a record tells to be open.
CREATE INDEX shift_first ON shift (records);

-- What the cloud has asked for, so that it is done at most once.
CREATE TABLE command (
  n          INTEGER PRIMARY KEY,
  id         TEXT    NOT NULL UNIQUE,
  name       TEXT    NOT NULL,
  arrived_at INTEGER NOT NULL,
  begun      INTEGER NOT NULL DEFAULT 0 CHECK (begun IN (0, 1)),
  answer     BLOB                        -- null: none yet
) STRICT;

CREATE TRIGGER command_once BEFORE UPDATE ON command
WHEN NEW.id <> OLD.id OR NEW.begun < OLD.begun OR OLD.answer IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a command is done once'); END;
