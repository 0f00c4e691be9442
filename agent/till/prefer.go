package till

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/texts"
)

// maxWait is the longest that a till may wait for an answer.
const maxWait = 60 * time.Second

// preferredWait reads "Prefer: wait=SECONDS" (RFC 7240). More than a minute is
// taken as a minute, and Preference-Applied says so: a receipt is not refused
// for a till's patience. What is no number of seconds is a problem.
func preferredWait(h http.Header) (wait time.Duration, given bool, err error) {
	for _, preference := range split(strings.Join(h.Values("Prefer"), ","), ',') {
		preference = split(preference, ';')[0] // its parameters mean nothing to us
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		wait, ok := seconds(value)
		if !ok {
			return 0, false, &problem{code: problemHeader, field: "Prefer", args: texts.Args{"field": "Prefer", "detail": "wait=0…60"}}
		}
		return wait, true, nil // the first one counts
	}
	return 0, false, nil
}

// seconds reads digits, and gives no more than maxWait.
func seconds(s string) (time.Duration, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	s = strings.TrimLeft(s, "0")
	if len(s) > 4 {
		return maxWait, true
	}
	n, _ := strconv.Atoi("0" + s)
	return min(time.Duration(n)*time.Second, maxWait), true
}

// split cuts a header's list at the separators that stand in no quotes. It
// gives at least one part.
func split(s string, separator byte) (parts []string) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[min(start, len(s)):])
}

// await gives the receipt as soon as it is final, or as it is when the time is
// up, the till has gone, or we are stopping. The receipt is in the journal
// already, so nothing that goes wrong here is the till's concern.
func (a *api) await(r *request, s receipt.Stored, wait time.Duration) receipt.Stored {
	if wait <= 0 || s.State.Final() || a.longAway(s) {
		return s
	}
	changed, stop := a.Journal.Watch(s.Terminal, s.ID)
	defer stop()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for up := false; ; {
		now, err := a.Journal.Get(s.Terminal, s.ID)
		if err != nil {
			a.Log.Warn("till's wait could not read the journal", "terminal", s.Terminal, "error", err)
		} else {
			s = now
		}
		if up || s.State.Final() {
			return s
		}
		select {
		case _, open := <-changed:
			if !open {
				changed = nil
			}
		case <-timeout.C:
			up = true
		case <-r.Context().Done():
			up = true
		}
	}
}

// away is how long a register must not have answered for tills to stop waiting
// for it: a queue at the till is worth more than the small chance.
const away = 10 * time.Second

// longAway says whether the receipt's register is known to be out of reach, and
// not just since a moment ago.
func (a *api) longAway(s receipt.Stored) bool {
	for _, x := range a.Desk.Registers(s.Terminal) {
		if x.ID == s.Register && (x.Link == register.LinkDown || x.Link == register.LinkMissing || x.Link == register.LinkWrong) {
			return time.Since(x.SeenAt) > away
		}
	}
	return false
}

// waitFor reads the preference and notes on the answer that it is honoured.
func waitFor(w http.ResponseWriter, r *request) (time.Duration, error) {
	wait, given, err := preferredWait(r.Header)
	if err != nil {
		return 0, err
	}
	if given {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	}
	return wait, nil
}
