-- Shifts as the agent has seen them. What a person orders is written down before
-- the register is asked, so that a lost answer, or our own death, is settled by
-- looking.
CREATE TABLE shift (
  id         INTEGER PRIMARY KEY,
  register   TEXT    NOT NULL,
  serial     TEXT    NOT NULL,
  name       TEXT    NOT NULL,            -- register.Shift.Name
  opened_at  INTEGER NOT NULL,            -- by our clock where we opened it, else as the register told it
  opened_by  TEXT    NOT NULL,            -- '' on the register itself
  records    INTEGER NOT NULL,            -- the newest record when it was first seen
  closing_by TEXT    NOT NULL DEFAULT '', -- who ordered the close that has no answer yet
  closed_at  INTEGER,                     -- null: open
  closed_by  TEXT    NOT NULL DEFAULT '', -- '' on the register itself
  report     INTEGER REFERENCES report (id)
) STRICT;

CREATE UNIQUE INDEX shift_open ON shift (register) WHERE closed_at IS NULL;
CREATE INDEX shift_closed ON shift (register, id) WHERE closed_at IS NOT NULL;

CREATE TRIGGER shift_stays BEFORE DELETE ON shift BEGIN SELECT RAISE(ABORT, 'a shift is never deleted'); END;
CREATE TRIGGER shift_fixed BEFORE UPDATE ON shift
WHEN OLD.closed_at IS NOT NULL OR NEW.name <> OLD.name OR NEW.serial <> OLD.serial OR NEW.register <> OLD.register
BEGIN SELECT RAISE(ABORT, 'a shift never changes but to close'); END;

CREATE INDEX report_newest ON report (register, kind, id);
