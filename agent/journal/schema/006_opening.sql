-- Who has ordered that a shift be opened, written down before the register is
-- asked; gone once the register was seen after it.
CREATE TABLE opening (
  register TEXT PRIMARY KEY,
  by       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
