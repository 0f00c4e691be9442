package journal

import (
	"fmt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Repaid gives what is no longer owed of a credit sale of ours: its payments, but
// for those that were taken back, and what of the debt itself was. A person pays
// debts off rarely, so that the children of a receipt have no index.
func (j *Journal) Repaid(sale int64) (r register.Repaid, err error) {
	err = j.readTx(func(q queryer) error {
		children, err := loadAll(q, fiscalChildren, sale)
		if err != nil {
			return err
		}
		for _, c := range children {
			if c.Kind == receipt.Refund {
				r.Sum += c.Payments.Credit
			}
			if c.Kind != receipt.CreditPayment {
				continue
			}
			back, err := loadAll(q, fiscalChildren, c.Seq)
			if err != nil {
				return err
			}
			paid := c.Total()
			for _, b := range back {
				if b.Kind == receipt.Cancel {
					paid = 0
					break
				}
				paid -= b.Total()
			}
			if paid > 0 {
				r.Count, r.Sum = r.Count+1, r.Sum+paid
			}
		}
		return nil
	})
	if err != nil {
		return register.Repaid{}, fmt.Errorf("read what is paid of credit sale %d: %w", sale, err)
	}
	return r, nil
}

const fiscalChildren = `WHERE r.seq IN (SELECT seq FROM life WHERE parent = ? AND state = 'fiscal') ORDER BY r.seq`
