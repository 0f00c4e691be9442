package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"ekassa/cloud/fleet"
)

func (s *store) Receipts(ctx context.Context, agent string, f Filter) ([]fleet.Receipt, error) {
	var w where
	w.and("agent = ?", agent)
	if f.State != "" {
		w.and("state = ?", f.State)
	}
	f.between(&w, "received_at")
	if f.Before > 0 {
		w.and("(received_at, number) < (SELECT received_at, number FROM receipt WHERE number = ?)", f.Before)
	}
	list, err := all[fleet.Receipt](s.rows(ctx, fmt.Sprintf(`SELECT number, changed_at,
		coalesce(data, (SELECT data FROM record WHERE record.agent = receipt.agent AND record.epoch = receipt.epoch AND record.seq = receipt.seq)),
		coalesce(content, (SELECT data FROM record WHERE record.agent = receipt.agent AND record.epoch = receipt.content_epoch AND record.seq = receipt.content_seq))
		FROM receipt%s ORDER BY received_at DESC, number DESC LIMIT %d`, &w, f.limit()), w.args...))(
		func(row scanner) (r fleet.Receipt, err error) {
			var data, first []byte
			if err := row.Scan(&r.Number, at{&r.ChangedAt}, &data, &first); err != nil {
				return r, err
			}
			r.Agent = agent
			if err := json.Unmarshal(data, &r.Receipt); err != nil {
				return r, err
			}
			if first == nil {
				return r, nil
			}
			var had struct{ Content json.RawMessage }
			err = json.Unmarshal(first, &had)
			r.Content = had.Content
			return r, err
		})
	if err != nil {
		return nil, fmt.Errorf("read the receipts of %s: %w", agent, err)
	}
	return list, nil
}

func (s *store) ShiftReports(ctx context.Context, f Filter) ([]fleet.ShiftReport, error) {
	var w where
	f.who(&w, "agent")
	f.between(&w, "closed_at")
	if f.Before > 0 {
		w.and("(closed_at, number) < (SELECT closed_at, number FROM shift_report WHERE number = ?)", f.Before)
	}
	list, err := all[fleet.ShiftReport](s.rows(ctx, fmt.Sprintf(`SELECT number, agent, epoch, seq, data FROM shift_report%s ORDER BY closed_at DESC, number DESC LIMIT %d`, &w, f.limit()), w.args...))(
		func(row scanner) (r fleet.ShiftReport, err error) {
			var data []byte
			if err := row.Scan(&r.Number, &r.Agent, &r.Epoch, &r.Seq, &data); err != nil {
				return r, err
			}
			return r, json.Unmarshal(data, &r.ShiftReport)
		})
	if err != nil {
		return nil, fmt.Errorf("read the shift reports: %w", err)
	}
	return list, nil
}

// quarter of an hour: every zone's days begin at one.
const quarter = 15 * time.Minute

func (s *store) Totals(ctx context.Context, f Filter, zone *time.Location) ([]Day, error) {
	var w where
	f.who(&w, "agent")
	w.and("state = ?", "fiscal")
	f.between(&w, "fiscal_at")
	w.conditions = append(w.conditions, "fiscal_at IS NOT NULL")
	rows, err := s.rows(ctx, fmt.Sprintf(`SELECT fiscal_at / %[1]d, kind, count(*), CAST(sum(total) AS INTEGER) FROM receipt%[2]s GROUP BY fiscal_at / %[1]d, kind`, quarter.Microseconds(), &w), w.args...)
	if err != nil {
		return nil, fmt.Errorf("add up the receipts: %w", err)
	}
	defer rows.Close()
	days := map[string]Day{}
	for rows.Next() {
		var from, sum int64
		var kind string
		var count int
		if err := rows.Scan(&from, &kind, &count, &sum); err != nil {
			return nil, fmt.Errorf("add up the receipts: %w", err)
		}
		name := time.UnixMicro(from * quarter.Microseconds()).In(zone).Format(time.DateOnly)
		d := days[name]
		d.Day = name
		switch kind {
		case "sale":
			d.Sales, d.Sum = d.Sales+count, d.Sum+sum
		case "refund", "cancel":
			d.Refunds, d.Back = d.Refunds+count, d.Back+sum
		default:
			continue
		}
		days[name] = d
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("add up the receipts: %w", err)
	}
	return slices.SortedFunc(maps.Values(days), func(a, b Day) int { return cmp.Compare(a.Day, b.Day) }), nil
}

// who narrows to an agent or a venue's agents.
func (f Filter) who(w *where, column string) {
	if f.Agent != "" {
		w.and(column+" = ?", f.Agent)
	}
	if f.Venue != "" {
		w.and(column+" IN (SELECT id FROM agent WHERE venue = ?)", f.Venue)
	}
}

func (f Filter) between(w *where, column string) {
	if !f.From.IsZero() {
		w.and(column+" >= ?", micro(f.From))
	}
	if !f.To.IsZero() {
		w.and(column+" < ?", micro(f.To))
	}
}
