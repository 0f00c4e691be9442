-- What is known of a register's own documents: how many its running shift has
-- that are not ours. More of them after an outage means that someone rang up by
-- hand meanwhile.
ALTER TABLE pairing ADD COLUMN foreign_shift TEXT NOT NULL DEFAULT '';
ALTER TABLE pairing ADD COLUMN foreign_documents INTEGER NOT NULL DEFAULT 0;

CREATE INDEX document_shift ON document (serial, shift);
