package frontdoor

import (
	"context"
	"maps"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// checkShift tells whether the shift is open (6.1): as the register says, and
// as it last said while it is away, so that a till that asks before each sale
// goes on selling.
func (c *call) checkShift() (answer, error) {
	status := c.status()
	shift, known := status.Shift, status.Identity.Serial != ""
	if !known || !c.away(status.ID) {
		ctx, cancel := context.WithTimeout(c.ctx, questionWait)
		defer cancel()
		now, err := c.Desk.Shift(ctx, c.Terminal)
		switch {
		case err == nil:
			shift, status = now, c.status()
		case !known:
			return nil, c.faulty(err)
		}
	}
	out := answer{"isShiftOpen": "false", "shiftID": number(shift.ID)}
	if shift.Open {
		out["isShiftOpen"] = "true"
	}
	if status.Identity.Edition != classic {
		out["shiftStatus"], out["shiftOpenAt"], out["cash"] = 2, "", int64(shift.Cash)
		if shift.Open {
			out["shiftStatus"], out["shiftOpenAt"] = 1, wall(shift.OpenedAt, c.shop.Zone)
		}
	}
	return out, nil
}

// openShift is 6.2; 6 is open already.
func (c *call) openShift() (answer, error) {
	who := c.f.text("employeeName", 256)
	if err := c.f.fault(); err != nil {
		return nil, err
	}
	ctx, cancel := c.patient()
	defer cancel()
	shift, err := c.Desk.OpenShift(ctx, c.Terminal, who)
	if err != nil {
		return nil, c.faulty(err)
	}
	id := number(shift.ID)
	return answer{"shiftID": id, "fiscalShiftID": id, "fiscalID": id}, nil
}

// closeShift is the Z report (6.3). Orders that were opened on the register
// itself are left alone, whatever openOrdersOperation says: the register then
// refuses with 24.
func (c *call) closeShift() (answer, error) {
	who := c.f.text("employeeName", 256)
	if err := c.f.fault(); err != nil {
		return nil, err
	}
	ctx, cancel := c.patient()
	defer cancel()
	report, err := c.Desk.CloseShift(ctx, c.Terminal, who)
	if err != nil {
		return nil, c.faulty(err)
	}
	return c.report(report), nil
}

// xReport is 6.4, of the present shift: the agent asks for no other.
func (c *call) xReport() (answer, error) {
	wanted := c.f.id("shiftID")
	if err := c.f.fault(); err != nil {
		return nil, err
	}
	if now := c.status().Shift.ID; wanted != "" && wanted != now {
		return nil, refuse(codeShift, "only the present shift's report can be had")
	}
	report, err := c.Desk.XReport(c.ctx, c.Terminal)
	if err != nil {
		return nil, c.faulty(err)
	}
	return c.report(report), nil
}

// report writes one in the page's words. The register's own answer goes over
// them: it has more of them, and the till is used to its spelling.
func (c *call) report(r register.Report) answer {
	out := answer{
		"shiftID": number(r.Shift), "fiscalShiftNum": r.Number, "shiftOpenAt": wall(r.OpenedAt, c.shop.Zone),
		"currency_name": "AZN",
	}
	if r.Cash != nil {
		out["cash"] = int64(*r.Cash)
	}
	for group, s := range map[string]register.Sum{
		"sale": r.Sales, "moneyBack": r.Refunds, "rollback": r.Cancels, "prepay": r.Prepaid, "creditpay": r.Credit,
		"corr": r.Correct, "deposit": r.In, "withdraw": r.Out,
	} {
		vat := []answer{}
		for _, v := range s.VAT {
			vat = append(vat, answer{"vatPercent": int64(v.Rate), "vatAmount": int64(v.Amount)})
		}
		for name, m := range map[string]receipt.Money{
			"Sum": s.Sum, "CashSum": s.Cash, "CashlessSum": s.Card, "CreditSum": s.Credit,
			"BonusSum": s.Bonus, "BonusesSum": s.Bonus, "PrepaymentSum": s.Prepaid,
		} {
			out[group+name] = int64(m)
		}
		out[group+"Count"], out[group+"VatAmounts"] = s.Count, vat
	}
	if own, err := object(r.Raw); err == nil {
		for _, name := range []string{"status", "code", "message"} {
			delete(own, name)
		}
		maps.Copy(out, own)
	}
	return out
}

// getInfo passes on what is known of the register (6.7), as it was last told.
func (c *call) getInfo() (answer, error) {
	i := c.status().Identity
	if i.Serial == "" {
		return nil, refuse(codeInternal, "%s", c.say("problem.register_unavailable.detail"))
	}
	return answer{
		"serial_num": i.Serial, "cashregister_model": i.Model, "cashbox_app_version": i.Version,
		"company_name": i.Company, "company_tax_number": i.TaxNumber, "object_name": i.Object, "state": i.State,
		"qr_code_url": i.QRPrefix, "last_online_time": wall(i.LastOnline, c.shop.Zone), "not_after": wall(i.NotAfter, c.shop.Zone),
	}, nil
}
