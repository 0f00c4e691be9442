package journal

import "ekassa/agent/receipt"

// The index document_once begins with the serial: it is asked once for each of
// the few registers that there ever were, which document_shift lists without
// reading all documents. The plus keeps SQLite from reading all of the terminal's.
const byFiscalID = `WHERE +r.terminal = (SELECT ?) AND r.seq IN (
	WITH RECURSIVE made (by) AS (SELECT min(serial) FROM document
		UNION ALL SELECT (SELECT min(serial) FROM document WHERE serial > by) FROM made WHERE by IS NOT NULL)
	SELECT seq FROM made CROSS JOIN document ON serial = by WHERE fiscal_id = ? AND fiscal_id <> '')`

// ByFiscalID gives a terminal's receipt of which a register made the document
// with this fiscal id, or receipt.ErrNotFound.
func (j *Journal) ByFiscalID(terminal, fiscalID string) (s receipt.Stored, err error) {
	err = j.readTx(func(q queryer) error {
		s, err = load(q, byFiscalID, terminal, fiscalID)
		return err
	})
	return s, err
}
