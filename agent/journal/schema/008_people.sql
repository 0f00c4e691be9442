-- What people did on the staff page. Written before it is done; the outcome is
-- written afterwards, once: '' is not known, the agent died meanwhile.
CREATE TABLE act (
  n        INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  terminal TEXT    NOT NULL,
  who      TEXT    NOT NULL,
  role     TEXT    NOT NULL,
  what     TEXT    NOT NULL,
  subject  TEXT    NOT NULL,
  outcome  TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX act_newest ON act (terminal, n);

CREATE TRIGGER act_fixed BEFORE UPDATE ON act
WHEN OLD.outcome <> '' OR NEW.n <> OLD.n OR NEW.at <> OLD.at OR NEW.terminal <> OLD.terminal OR NEW.who <> OLD.who
  OR NEW.role <> OLD.role OR NEW.what <> OLD.what OR NEW.subject <> OLD.subject
BEGIN SELECT RAISE(ABORT, 'what a person did never changes'); END;
CREATE TRIGGER act_stays BEFORE DELETE ON act BEGIN SELECT RAISE(ABORT, 'what a person did is never deleted'); END;
