-- The journal of one agent. Times are milliseconds since 1970 (UTC); money is
-- qəpik. What happened is never changed or deleted: receipt, attempt, evidence
-- and document only grow. The one mutable row of a receipt is its life.

-- A new or restored journal begins a new epoch, so that its record numbers
-- cannot be taken for old ones.
CREATE TABLE epoch (
  number   INTEGER PRIMARY KEY,         -- seconds since 1970 when it began
  began_at INTEGER NOT NULL,
  cause    TEXT    NOT NULL,
  tag      INTEGER NOT NULL UNIQUE    -- random; the first half of every key that registers are given
) STRICT;

-- What a till closed. seq is the order in which tills were told yes.
CREATE TABLE receipt (
  seq         INTEGER PRIMARY KEY,
  epoch       INTEGER NOT NULL REFERENCES epoch (number),
  terminal    TEXT    NOT NULL,
  id          TEXT    NOT NULL,
  kind        TEXT    NOT NULL,
  received_at INTEGER NOT NULL,
  said        BLOB    NOT NULL,       -- fingerprints: see receipt.Fingerprint
  meant       BLOB    NOT NULL,
  content     TEXT    NOT NULL,       -- JSON, defaults filled in
  UNIQUE (terminal, id)
) STRICT;

-- Which move leads where; receipt.State.May says the same.
CREATE TABLE move (
  was TEXT NOT NULL,
  now TEXT NOT NULL,
  PRIMARY KEY (was, now)
) STRICT, WITHOUT ROWID;

INSERT INTO move (was, now) VALUES
  ('waiting', 'sending'), ('waiting', 'held'), ('waiting', 'withdrawn'),
  ('sending', 'fiscal'), ('sending', 'refused'), ('sending', 'checking'), ('sending', 'waiting'),
  ('checking', 'fiscal'), ('checking', 'waiting'), ('checking', 'held'),
  ('refused', 'waiting'), ('refused', 'withdrawn'),
  ('held', 'waiting'), ('held', 'fiscal'), ('held', 'withdrawn'),
  ('non_fiscal', 'waiting');

-- Where a receipt is on its way.
CREATE TABLE life (
  seq           INTEGER PRIMARY KEY REFERENCES receipt (seq),
  register      TEXT,                 -- null: none is bound to the terminal yet
  parent        INTEGER REFERENCES receipt (seq),
  state         TEXT    NOT NULL CHECK (state IN
                  ('waiting', 'sending', 'checking', 'fiscal', 'refused', 'held', 'non_fiscal', 'withdrawn')),
  attempts      INTEGER NOT NULL DEFAULT 0,
  reason        TEXT    NOT NULL DEFAULT '',
  reason_detail TEXT    NOT NULL DEFAULT '',
  changed_at    INTEGER NOT NULL
) STRICT;

-- What goes on by itself, in order.
CREATE INDEX life_queue ON life (register, seq) WHERE state IN ('waiting', 'sending', 'checking');
-- One open attempt per register.
CREATE UNIQUE INDEX life_open ON life (register) WHERE state IN ('sending', 'checking');
-- What a person must look at.
CREATE INDEX life_person ON life (register, state) WHERE state IN ('held', 'refused');

-- One try. Written before the first byte leaves.
CREATE TABLE attempt (
  seq      INTEGER NOT NULL REFERENCES receipt (seq),
  number   INTEGER NOT NULL CHECK (number >= 1),
  register TEXT    NOT NULL,
  serial   TEXT    NOT NULL,
  address  TEXT    NOT NULL,
  baseline TEXT    NOT NULL,          -- JSON: register.Baseline
  route    TEXT    NOT NULL,
  key      TEXT    NOT NULL,
  request  BLOB    NOT NULL,          -- the bytes that are sent, deflated
  at       INTEGER NOT NULL,
  PRIMARY KEY (seq, number)
) STRICT, WITHOUT ROWID;

-- What was learned of an attempt, in order.
CREATE TABLE evidence (
  seq    INTEGER NOT NULL,
  number INTEGER NOT NULL,
  n      INTEGER NOT NULL CHECK (n >= 1),
  proof  TEXT    NOT NULL CHECK (proof IN ('made', 'not_sent', 'refused', 'not_made', 'person', 'unclear')),
  text   TEXT    NOT NULL,
  at     INTEGER NOT NULL,
  PRIMARY KEY (seq, number, n),
  FOREIGN KEY (seq, number) REFERENCES attempt (seq, number)
) STRICT, WITHOUT ROWID;

-- What a register made of a receipt.
CREATE TABLE document (
  seq         INTEGER PRIMARY KEY REFERENCES receipt (seq),
  serial      TEXT    NOT NULL,
  fiscal_id   TEXT    NOT NULL,
  short_id    TEXT    NOT NULL,
  number      TEXT    NOT NULL,
  register_id TEXT    NOT NULL,
  shift       TEXT    NOT NULL,
  url         TEXT    NOT NULL,
  printed     INTEGER NOT NULL CHECK (printed IN (0, 1)),
  at          INTEGER NOT NULL
) STRICT;

CREATE INDEX document_unprinted ON document (seq) WHERE printed = 0;
CREATE UNIQUE INDEX document_once ON document (serial, fiscal_id) WHERE fiscal_id <> '';

-- X and Z reports, structured and as the register gave them.
CREATE TABLE report (
  id       INTEGER PRIMARY KEY,
  register TEXT    NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind IN ('x', 'z')),
  shift    TEXT    NOT NULL,
  by       TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  report   TEXT    NOT NULL,          -- JSON: register.Report
  raw      BLOB    NOT NULL
) STRICT;

-- What the cloud is told, in order and without gaps; written with what it tells.
CREATE TABLE record (
  seq     INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  type    TEXT    NOT NULL,           -- receipt, cash, shift_opened, shift_closed, x_report
  receipt INTEGER REFERENCES receipt (seq),
  report  INTEGER REFERENCES report (id),
  state   TEXT    NOT NULL DEFAULT '',
  reason  TEXT    NOT NULL DEFAULT '',
  detail  TEXT    NOT NULL DEFAULT ''
) STRICT;

-- The register that was first seen behind each configured one.
CREATE TABLE pairing (
  register  TEXT PRIMARY KEY,
  serial    TEXT    NOT NULL,
  address   TEXT    NOT NULL,
  paired_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the program promises, promised again by the schema.

CREATE TRIGGER life_moves BEFORE UPDATE OF state ON life WHEN OLD.state <> NEW.state
BEGIN
  SELECT RAISE(ABORT, 'no such move of state')
  WHERE NOT EXISTS (SELECT 1 FROM move WHERE was = OLD.state AND now = NEW.state);
  SELECT RAISE(ABORT, 'sending needs its own attempt first')
  WHERE NEW.state = 'sending' AND (NEW.attempts <> OLD.attempts + 1 OR NOT EXISTS
    (SELECT 1 FROM attempt WHERE seq = NEW.seq AND number = NEW.attempts AND register = NEW.register));
  SELECT RAISE(ABORT, 'fiscal needs its document first')
  WHERE NEW.state = 'fiscal' AND NOT EXISTS (SELECT 1 FROM document WHERE seq = NEW.seq);
  SELECT RAISE(ABORT, 'waiting, refused and withdrawn need proof that nothing was made')
  WHERE NEW.state IN ('waiting', 'refused', 'withdrawn') AND OLD.attempts > 0 AND NOT EXISTS
    (SELECT 1 FROM evidence WHERE seq = NEW.seq AND number = OLD.attempts
       AND proof IN ('not_sent', 'refused', 'not_made', 'person'));
END;

CREATE TRIGGER life_starts BEFORE INSERT ON life
WHEN NEW.state NOT IN ('waiting', 'non_fiscal') OR NEW.attempts <> 0
BEGIN SELECT RAISE(ABORT, 'a receipt starts waiting or non_fiscal'); END;

CREATE TRIGGER life_counts BEFORE UPDATE OF attempts ON life
WHEN NEW.attempts <> OLD.attempts AND (OLD.state <> 'waiting' OR NEW.state <> 'sending')
BEGIN SELECT RAISE(ABORT, 'only sending counts as an attempt'); END;

CREATE TRIGGER life_bound BEFORE UPDATE OF register ON life
WHEN NEW.register IS NOT OLD.register AND OLD.state <> 'waiting'
BEGIN SELECT RAISE(ABORT, 'only what waits may change its register'); END;

CREATE TRIGGER life_fixed BEFORE UPDATE OF seq, parent ON life
BEGIN SELECT RAISE(ABORT, 'a receipt never changes'); END;

CREATE TRIGGER life_stays BEFORE DELETE ON life
BEGIN SELECT RAISE(ABORT, 'a receipt is never deleted'); END;

CREATE TRIGGER attempt_in_turn BEFORE INSERT ON attempt
BEGIN
  SELECT RAISE(ABORT, 'attempts are numbered in turn')
  WHERE NEW.number <> 1 + (SELECT count(*) FROM attempt WHERE seq = NEW.seq);
  SELECT RAISE(ABORT, 'a further attempt needs proof that the last made nothing')
  WHERE NEW.number > 1 AND NOT EXISTS
    (SELECT 1 FROM evidence WHERE seq = NEW.seq AND number = NEW.number - 1
       AND proof IN ('not_sent', 'refused', 'not_made', 'person'));
  SELECT RAISE(ABORT, 'a fiscal receipt is never sent again')
  WHERE EXISTS (SELECT 1 FROM document WHERE seq = NEW.seq);
  SELECT RAISE(ABORT, 'only what waits is sent')
  WHERE NOT EXISTS (SELECT 1 FROM life WHERE seq = NEW.seq AND state = 'waiting');
END;

CREATE TRIGGER document_in_turn BEFORE INSERT ON document
WHEN NOT EXISTS (SELECT 1 FROM life WHERE seq = NEW.seq AND state IN ('sending', 'checking', 'held'))
BEGIN SELECT RAISE(ABORT, 'only what was sent or is held gets a document'); END;

CREATE TRIGGER document_prints BEFORE UPDATE OF printed ON document WHEN NEW.printed < OLD.printed
BEGIN SELECT RAISE(ABORT, 'what is printed stays printed'); END;

CREATE TRIGGER receipt_fixed BEFORE UPDATE ON receipt BEGIN SELECT RAISE(ABORT, 'a receipt never changes'); END;
CREATE TRIGGER receipt_stays BEFORE DELETE ON receipt BEGIN SELECT RAISE(ABORT, 'a receipt is never deleted'); END;
CREATE TRIGGER attempt_fixed BEFORE UPDATE ON attempt BEGIN SELECT RAISE(ABORT, 'an attempt never changes'); END;
CREATE TRIGGER attempt_stays BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT, 'an attempt is never deleted'); END;
CREATE TRIGGER evidence_fixed BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence never changes'); END;
CREATE TRIGGER evidence_stays BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is never deleted'); END;
CREATE TRIGGER document_fixed BEFORE UPDATE OF seq, serial, fiscal_id, short_id, number, register_id, shift, url, at ON document
BEGIN SELECT RAISE(ABORT, 'a document never changes'); END;
CREATE TRIGGER document_stays BEFORE DELETE ON document BEGIN SELECT RAISE(ABORT, 'a document is never deleted'); END;
CREATE TRIGGER record_fixed BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'a record never changes'); END;
CREATE TRIGGER report_fixed BEFORE UPDATE ON report BEGIN SELECT RAISE(ABORT, 'a report never changes'); END;
CREATE TRIGGER epoch_fixed BEFORE UPDATE ON epoch BEGIN SELECT RAISE(ABORT, 'an epoch never changes'); END;
CREATE TRIGGER epoch_stays BEFORE DELETE ON epoch BEGIN SELECT RAISE(ABORT, 'an epoch is never deleted'); END;
