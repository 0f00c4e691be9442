package journal

import (
	"strconv"

	"ekassa/agent/receipt"
)

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

// ByKey gives the receipt that registers know by this key, of whatever terminal,
// or receipt.ErrNotFound. A key of another journal is never a receipt of this
// one, though numbers begin anew there.
func (j *Journal) ByKey(key int64) (s receipt.Stored, err error) {
	err = j.readTx(func(q queryer) error {
		s, err = load(q, bySeq, key%perTag)
		return err
	})
	if err == nil && s.Key != strconv.FormatInt(key, 10) {
		return receipt.Stored{}, receipt.ErrNotFound
	}
	return s, err
}
