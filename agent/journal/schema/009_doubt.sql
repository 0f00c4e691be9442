-- readable from 9
-- What a person is asked about since its register cannot tell whether it made it.
-- Where found is 1, the register has a document that is either this one's or was
-- rung up by hand, and what waited is held until the answer is there. Programs
-- before do not know that, and cannot go on with such a journal.
CREATE TABLE doubt (
  seq   INTEGER PRIMARY KEY REFERENCES receipt (seq),
  found INTEGER NOT NULL DEFAULT 0 CHECK (found IN (0, 1))
) STRICT;

-- How many such documents there are that no answer has explained yet.
ALTER TABLE pairing ADD COLUMN unexplained INTEGER NOT NULL DEFAULT 0;
