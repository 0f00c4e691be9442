package till

import (
	"net/http"
	"strconv"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/texts"
	"ekassa/cloud/wire"
)

// statusBody is all that the till's E-kassa screen shows.
type statusBody struct {
	Terminal  string         `json:"terminal"`
	Time      time.Time      `json:"time"`
	Module    wire.Module    `json:"module"`
	Register  *registerBody  `json:"register"`
	Registers []registerBody `json:"registers"`
	Shift     *shiftBody     `json:"shift"`
	Queue     queueBody      `json:"queue"`
	Disk      diskBody       `json:"disk"`
	Slip      *slipBody      `json:"slip"` // null: there is no printer for guests' slips
	Message   reasonBody     `json:"message"`
}

// diskBody tells of the disk under the journal. While it is short, new receipts
// are refused.
type diskBody struct {
	FreeBytes int64 `json:"free_bytes"`
	Short     bool  `json:"short"`
}

func (a *api) getStatus(w http.ResponseWriter, r *request) error {
	all := a.Desk.Registers(r.terminal)
	queue, err := a.queueOf(r.terminal, all)
	if err != nil {
		return err
	}
	b := statusBody{
		Terminal: r.terminal, Time: crash.Now().In(r.zone), Module: r.settings.Module,
		Registers: r.registers(all), Queue: r.queue(queue), Slip: a.slip(r),
	}
	var active *register.Status
	if id, ok := a.Desk.Active(r.terminal); ok {
		for n := range all {
			if all[n].ID == id {
				active, b.Register, b.Shift = &all[n], &b.Registers[n], b.Registers[n].Shift
			}
		}
	}
	if b.Disk.FreeBytes, b.Disk.Short, err = a.Journal.Room(); err != nil {
		return err
	}
	b.Message = r.message(active, queue)
	if b.Disk.Short && r.settings.Module.Enabled { // nothing is graver: the guest who pays now gets no receipt
		b.Message = reasonBody{Code: "disk_short", Text: texts.Say(r.lang, "status.disk_short", nil)}
	}
	return reply(w, r, http.StatusOK, b)
}

// queueOf counts over all registers of the terminal, and what has none yet. The
// journal knows better than a status that may be some seconds old.
func (a *api) queueOf(terminal string, all []register.Status) (sum register.Queue, err error) {
	if sum.Waiting, err = a.Journal.Unbound(terminal); err != nil {
		return sum, err
	}
	for _, s := range all {
		q, err := a.Journal.Queue(s.ID)
		if err != nil {
			return sum, err
		}
		sum.Waiting += q.Waiting
		sum.Checking += q.Checking
		sum.Held += q.Held
		sum.Refused += q.Refused
		if !q.Oldest.IsZero() && (sum.Oldest.IsZero() || q.Oldest.Before(sum.Oldest)) {
			sum.Oldest = q.Oldest
		}
	}
	return sum, nil
}

// message says how things stand: the gravest thing first, and how many receipts
// wait for it.
func (r *request) message(active *register.Status, q register.Queue) reasonBody {
	m := r.gravest(active, q)
	if q.Waiting > 0 && m.Code != "asking_register" && m.Code != "sending" {
		m.Text += " " + texts.Say(r.lang, "status.waiting", texts.Args{"count": strconv.Itoa(q.Waiting), "since": r.since(q.Oldest)})
	}
	return m
}

func (r *request) since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(r.zone).Format("02.01.2006 15:04")
}

func (r *request) gravest(active *register.Status, q register.Queue) reasonBody {
	say := func(code string, args texts.Args) reasonBody {
		return reasonBody{Code: code, Text: texts.Say(r.lang, "status."+code, args)}
	}
	why := func(code string) reasonBody { return *r.reason(receipt.Reason{Code: code}) }
	_, known := r.settings.Terminal(r.terminal)
	switch {
	case !r.settings.Module.Enabled:
		return say("module_off", nil)
	case active == nil && !known:
		return say("terminal_unknown", nil)
	case active == nil:
		return why(register.WhyNoRegister)
	case q.Checking > 0:
		return why(register.WhyAsking)
	case active.Problem.Code != "":
		return *r.reason(active.Problem)
	case active.Link != register.LinkReady && active.Link != register.LinkUnknown:
		return reasonBody{Code: "link_" + string(active.Link), Text: texts.Link(r.lang, active.Link)}
	case q.Held > 0:
		return say("held", texts.Args{"count": strconv.Itoa(q.Held)})
	case q.Refused > 0:
		return say("refused", texts.Args{"count": strconv.Itoa(q.Refused)})
	}
	hours := active.Shift.Age
	switch warn := r.settings.Shift.WarnAfter; {
	case hours >= register.MaxShift:
		return say("shift_expired", nil)
	case len(warn) > 0 && hours >= time.Duration(warn[0]):
		return say("shift_old", texts.Args{"hours": strconv.Itoa(int(hours.Hours()))})
	case active.Clock.Off():
		return say("clock_off", texts.Args{"minutes": strconv.Itoa(int(active.Clock.Ahead.Abs().Round(time.Minute).Minutes()))})
	case active.Link == register.LinkUnknown:
		return say("asking", nil)
	case q.Waiting > 0:
		return say("sending", texts.Args{"count": strconv.Itoa(q.Waiting)})
	}
	return say("ready", nil)
}

func (r *request) registers(all []register.Status) []registerBody {
	list := make([]registerBody, 0, len(all))
	for _, s := range all {
		list = append(list, r.register(s))
	}
	return list
}

type registersBody struct {
	Registers []registerBody `json:"registers"`
}

func (a *api) getRegisters(w http.ResponseWriter, r *request) error {
	return reply(w, r, http.StatusOK, registersBody{Registers: r.registers(a.Desk.Registers(r.terminal))})
}

func (a *api) checkRegister(w http.ResponseWriter, r *request) error {
	if _, err := cashier(w, r); err != nil {
		return err
	}
	s, err := a.Desk.Check(r.Context(), r.terminal, r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, r, http.StatusOK, r.register(s))
}
