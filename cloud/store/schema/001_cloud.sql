-- What both databases have. It is written in SQLite's words: for PostgreSQL
-- INTEGER becomes BIGINT, BLOB becomes BYTEA, NUMBER a key that the database
-- gives, STRICT goes (see dialect.go). Moments are microseconds since 1970, UTC; flags are 0 and 1;
-- JSON is kept as the bytes it came in, since PostgreSQL's own types refuse some of it.

CREATE TABLE venue (
  id         TEXT    NOT NULL PRIMARY KEY,
  name       TEXT    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE switch (
  number NUMBER,
  venue  TEXT    NOT NULL REFERENCES venue (id),
  driver TEXT    NOT NULL,
  on_off INTEGER NOT NULL CHECK (on_off IN (0, 1)),
  at     INTEGER NOT NULL,
  by_whom TEXT   NOT NULL
) STRICT;
CREATE INDEX switch_venue ON switch (venue, driver, number);

CREATE TABLE agent (
  id             TEXT    NOT NULL PRIMARY KEY,
  venue          TEXT    NOT NULL REFERENCES venue (id),
  enrolled_at    INTEGER,
  revoked        INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
  online         INTEGER NOT NULL DEFAULT 0 CHECK (online IN (0, 1)),
  session        INTEGER NOT NULL DEFAULT 0,
  session_epoch  INTEGER NOT NULL DEFAULT 0, -- of the journal that counts the sessions
  since          INTEGER,
  version        TEXT    NOT NULL DEFAULT '',
  desired        INTEGER NOT NULL DEFAULT 0,
  seen           INTEGER NOT NULL DEFAULT 0, -- the highest rev that the agent ever spoke of
  reported       BLOB,
  epoch          INTEGER NOT NULL DEFAULT 0,
  health         BLOB,
  health_at      INTEGER,
  health_epoch   INTEGER NOT NULL DEFAULT 0,
  health_seq     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX agent_venue ON agent (venue);

CREATE TABLE enrolment (
  hash       TEXT    NOT NULL PRIMARY KEY,
  venue      TEXT    NOT NULL REFERENCES venue (id),
  agent      TEXT    NOT NULL REFERENCES agent (id),
  by_whom    TEXT    NOT NULL,
  expires_at INTEGER NOT NULL,
  spent_at   INTEGER
) STRICT;

CREATE TABLE certificate (
  serial     TEXT    NOT NULL PRIMARY KEY,
  agent      TEXT    NOT NULL REFERENCES agent (id),
  not_before INTEGER NOT NULL,
  not_after  INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;
CREATE INDEX certificate_agent ON certificate (agent);

-- Records as they came. Whoever writes here holds the agent's row.
CREATE TABLE record (
  agent       TEXT    NOT NULL,
  epoch       INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  v           INTEGER NOT NULL,
  type        TEXT    NOT NULL,
  time        INTEGER NOT NULL, -- by the agent's clock
  received_at INTEGER NOT NULL, -- by the cloud's
  data        BLOB    NOT NULL,
  PRIMARY KEY (agent, epoch, seq)
) STRICT;

-- How far an epoch's records are stored: all up to up_to, none above top.
CREATE TABLE stream (
  agent TEXT    NOT NULL REFERENCES agent (id),
  epoch INTEGER NOT NULL,
  up_to INTEGER NOT NULL,
  top   INTEGER NOT NULL CHECK (top >= up_to),
  PRIMARY KEY (agent, epoch)
) STRICT;

-- Receipts in their last state: that of the highest (epoch, seq). Nothing that
-- changes with the state is indexed, so that a change writes the row alone; what
-- the record has is not written a second time.
CREATE TABLE receipt (
  number      NUMBER,
  agent       TEXT    NOT NULL,
  terminal    TEXT    NOT NULL,
  id          TEXT    NOT NULL,
  epoch       INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  changed_at  INTEGER NOT NULL, -- by the agent's clock
  received_at INTEGER NOT NULL, -- by the agent's clock: when the till was told yes
  stored_at   INTEGER NOT NULL, -- by the cloud's clock
  state       TEXT    NOT NULL,
  kind        TEXT    NOT NULL,
  total       INTEGER NOT NULL, -- qepik
  fiscal_at   INTEGER,          -- by the register's clock
  content_epoch INTEGER,        -- of the first record that had the content
  content_seq   INTEGER,
  data        BLOB,             -- those records' own, once they are deleted
  content     BLOB,
  UNIQUE (agent, terminal, id)
) STRICT;
CREATE INDEX receipt_newest ON receipt (agent, received_at, number);

CREATE TABLE shift_report (
  number    NUMBER,
  agent     TEXT    NOT NULL,
  epoch     INTEGER NOT NULL,
  seq       INTEGER NOT NULL,
  closed_at INTEGER NOT NULL, -- by the agent's clock
  stored_at INTEGER NOT NULL, -- by the cloud's
  data      BLOB    NOT NULL,
  UNIQUE (agent, epoch, seq)
) STRICT;
CREATE INDEX shift_report_closed ON shift_report (closed_at, number);
CREATE INDEX shift_report_agent ON shift_report (agent, closed_at, number);

CREATE TABLE settings (
  agent    TEXT    NOT NULL REFERENCES agent (id),
  rev      INTEGER NOT NULL,
  settings BLOB    NOT NULL,
  by_whom  TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (agent, rev)
) STRICT;

CREATE TABLE command (
  number      NUMBER,
  agent       TEXT    NOT NULL REFERENCES agent (id),
  id          TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  arguments   BLOB,
  state       TEXT    NOT NULL,
  result      BLOB,
  error       TEXT    NOT NULL DEFAULT '',
  by_whom     TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  answered_at INTEGER,
  UNIQUE (agent, id)
) STRICT;
CREATE INDEX command_pending ON command (agent) WHERE state = 'pending';

CREATE TABLE alert (
  number          NUMBER,
  agent           TEXT    NOT NULL,
  venue           TEXT    NOT NULL,
  register        TEXT    NOT NULL,
  code            TEXT    NOT NULL,
  detail          TEXT    NOT NULL,
  raised_at       INTEGER NOT NULL,
  ended_at        INTEGER,
  acknowledged_at INTEGER,
  acknowledged_by TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX alert_once ON alert (agent, register, code) WHERE ended_at IS NULL;

CREATE TABLE person (
  name          TEXT    NOT NULL PRIMARY KEY,
  role          TEXT    NOT NULL,
  password_hash TEXT    NOT NULL,
  disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
  created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
  hash       TEXT    NOT NULL PRIMARY KEY,
  person     TEXT    NOT NULL REFERENCES person (name),
  kind       TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_person ON session (person);

CREATE TABLE act (
  number NUMBER,
  at     INTEGER NOT NULL,
  person TEXT    NOT NULL,
  action TEXT    NOT NULL,
  object TEXT    NOT NULL,
  detail TEXT    NOT NULL
) STRICT;

CREATE TABLE rollout (
  number NUMBER,
  id     TEXT    NOT NULL UNIQUE,
  data   BLOB    NOT NULL
) STRICT;

CREATE TABLE webhook (
  number     NUMBER,
  url        TEXT    NOT NULL,
  secret     TEXT    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE delivery (
  number   NUMBER,
  webhook  INTEGER NOT NULL REFERENCES webhook (number) ON DELETE CASCADE,
  body     BLOB    NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at  INTEGER NOT NULL,
  error    TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX delivery_next ON delivery (next_at);
CREATE INDEX delivery_webhook ON delivery (webhook);

CREATE TABLE value (
  key   TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;
