package api

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// agentBody is contract.md 6's, with more.
type agentBody struct {
	ID       string                `json:"id"`
	Venue    string                `json:"venue"`
	Enrolled time.Time             `json:"enrolled_at,omitzero"`
	Revoked  bool                  `json:"revoked"`
	Online   bool                  `json:"online"`
	Since    time.Time             `json:"since,omitzero"`
	Version  string                `json:"version"`
	Program  *wire.ProgramReport   `json:"program,omitempty"`
	Settings settingsState         `json:"settings"`
	Shops    []wire.RegisterHealth `json:"registers"`
	Queue    queueBody             `json:"queue"`
	Health   *wire.Health          `json:"health,omitempty"`
	HealthAt time.Time             `json:"health_at,omitzero"`
}

type settingsState struct {
	Desired  int64        `json:"desired"`
	Reported int64        `json:"reported"`
	State    *string      `json:"state"`
	Reason   *string      `json:"reason"`
	Faults   []wire.Fault `json:"faults,omitempty"`
}

type queueBody struct {
	Waiting       int   `json:"waiting"`
	OldestSeconds int64 `json:"oldest_seconds"`
}

func agentOf(x fleet.Agent) agentBody {
	b := agentBody{
		ID: x.ID, Venue: x.Venue, Enrolled: x.EnrolledAt, Revoked: x.Revoked, Online: x.Online, Since: x.Since, Version: x.Version, Program: x.Reported.Program,
		Settings: settingsState{Desired: x.Desired, Reported: x.Reported.Rev}, Shops: []wire.RegisterHealth{}, Health: x.Health, HealthAt: x.HealthAt,
	}
	if s := x.State(); s != "" {
		b.Settings.State = &s
		if s != fleet.StatePending {
			b.Settings.Faults = x.Reported.Faults
			if x.Reported.Reason != "" {
				b.Settings.Reason = &x.Reported.Reason
			}
		}
	}
	if h := x.Health; h != nil {
		b.Queue = queueBody{h.Waiting, h.OldestSeconds}
		if h.Registers != nil {
			b.Shops = h.Registers
		}
	}
	return b
}

func (a *api) agents(w http.ResponseWriter, r *request) error {
	found, err := a.Control.Agents(r.Context(), store.Filter{Venue: r.URL.Query().Get("venue")})
	if err != nil {
		return err
	}
	out := make([]agentBody, 0, len(found))
	for _, x := range found {
		b := agentOf(x)
		b.Health = nil // the long form is the single agent's
		out = append(out, b)
	}
	return reply(w, http.StatusOK, all(out))
}

func (a *api) agent(w http.ResponseWriter, r *request) error {
	x, err := a.Control.Agent(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, agentOf(x))
}

func (a *api) revoke(w http.ResponseWriter, r *request) error {
	if err := a.Control.Revoke(r.Context(), r.person, r.PathValue("id")); err != nil {
		return err
	}
	return a.agent(w, r)
}

// etag of a version.
func etag(rev int64) string { return `"` + strconv.FormatInt(rev, 10) + `"` }

func (a *api) settings(w http.ResponseWriter, r *request) error {
	q := &query{r: r}
	rev := q.number("rev", 0, 1<<62, 0)
	if err := q.err(); err != nil {
		return err
	}
	v, err := a.Control.Settings(r.Context(), r.PathValue("id"), rev)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(v.Rev))
	return reply(w, http.StatusOK, v.Settings)
}

func (a *api) putSettings(w http.ResponseWriter, r *request) error {
	match := r.Header.Get("If-Match")
	if match == "" {
		return &problem{status: http.StatusPreconditionRequired, code: "if_match", detail: `send If-Match with the ETag that was read, such as "3"; "0" where none was ever pushed`}
	}
	seen, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(match, "W/"), `"`), 10, 64)
	if err != nil || seen < 0 {
		return fleet.ErrStale // no version has such a tag
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return unreadable(err)
	}
	v, err := a.Control.PutSettings(r.Context(), r.person, r.PathValue("id"), seen, data)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(v.Rev))
	return reply(w, http.StatusOK, v.Settings)
}

func (a *api) versions(w http.ResponseWriter, r *request) error {
	found, err := a.Control.Versions(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	type version struct {
		Rev int64     `json:"rev"`
		By  string    `json:"by"`
		At  time.Time `json:"at"`
	}
	out := []version{}
	for _, v := range found {
		out = append(out, version{v.Rev, v.By, v.At})
	}
	return reply(w, http.StatusOK, all(out))
}

func (a *api) diff(w http.ResponseWriter, r *request) error {
	q := &query{r: r}
	from, to := q.number("from", 0, 1<<62, 0), q.number("to", 1, 1<<62, 0)
	if to == 0 {
		q.bad("to", "must be there: the later rev")
	}
	if err := q.err(); err != nil {
		return err
	}
	changes, err := a.Control.Diff(r.Context(), r.PathValue("id"), from, to)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, all(changes))
}

type commandBody struct {
	ID         string             `json:"id"`
	Agent      string             `json:"agent"`
	Name       string             `json:"name"`
	Arguments  json.RawMessage    `json:"arguments,omitempty"`
	State      fleet.CommandState `json:"state"`
	Result     json.RawMessage    `json:"result,omitempty"`
	Error      string             `json:"error,omitempty"`
	By         string             `json:"by"`
	CreatedAt  time.Time          `json:"created_at"`
	ExpiresAt  time.Time          `json:"expires_at"`
	AnsweredAt time.Time          `json:"answered_at,omitzero"`
}

func (a *api) commands(w http.ResponseWriter, r *request) error {
	found, err := a.Control.CommandsOf(r.Context(), r.PathValue("id"), 100)
	if err != nil {
		return err
	}
	out := []commandBody{}
	for _, x := range found {
		out = append(out, commandBody(x))
	}
	return reply(w, http.StatusOK, all(out))
}

func (a *api) addCommand(w http.ResponseWriter, r *request) error {
	var b struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
		TTL       int64           `json:"ttl_seconds"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	if b.TTL < 0 || b.TTL > 1<<31 {
		b.TTL = 1 << 31 // refused by name
	}
	x, err := a.Control.Command(r.Context(), r.person, r.PathValue("id"), b.Name, b.Arguments, time.Duration(b.TTL)*time.Second)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, commandBody(x))
}

func (a *api) command(w http.ResponseWriter, r *request) error {
	x, err := a.Control.CommandOf(r.Context(), r.PathValue("id"), r.PathValue("cid"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, commandBody(x))
}
