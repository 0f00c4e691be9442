package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

type meBody struct {
	Name string     `json:"name"`
	Role fleet.Role `json:"role"`
}

func (a *api) login(w http.ResponseWriter, r *request) error {
	var b struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	secret, s, err := a.Control.Login(r.Context(), b.Name, b.Password, From(r.Request))
	if err != nil {
		return err
	}
	person, _, err := a.Control.Who(r.Context(), secret)
	if err != nil {
		return err
	}
	SetCookie(w, secret, s.ExpiresAt, a.Secure)
	return reply(w, http.StatusOK, meBody{person.Name, person.Role})
}

// SetCookie gives a browser its session; an empty secret takes it away.
func SetCookie(w http.ResponseWriter, secret string, until time.Time, secure bool) {
	c := &http.Cookie{Name: Cookie, Value: secret, Path: "/", Expires: until, HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode}
	if secret == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func (a *api) whoAmI(w http.ResponseWriter, r *request) error {
	return reply(w, http.StatusOK, meBody{r.person.Name, r.person.Role})
}

func (a *api) logout(w http.ResponseWriter, r *request) error {
	if err := a.Control.Logout(r.Context(), r.secret); err != nil {
		return err
	}
	SetCookie(w, "", time.Time{}, a.Secure)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) newPassword(w http.ResponseWriter, r *request) error {
	var b struct {
		Old string `json:"old"`
		New string `json:"new"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	if err := a.Control.NewPassword(r.Context(), r.person, b.Old, b.New); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) alerts(w http.ResponseWriter, r *request) error {
	q := &query{r: r}
	f := q.filter()
	switch open := r.URL.Query().Get("open"); open {
	case "", "false":
	case "true":
		f.Open = true
	default:
		q.bad("open", "must be true or false")
	}
	if err := q.err(); err != nil {
		return err
	}
	found, err := a.Control.Alerts(r.Context(), f)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, page(found, f.Limit, func(x fleet.Alert) int64 { return x.ID }))
}

// number reads the id in the path.
func number(r *request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, fleet.ErrNotFound
	}
	return id, nil
}

func (a *api) acknowledge(w http.ResponseWriter, r *request) error {
	id, err := number(r)
	if err != nil {
		return err
	}
	if err := a.Control.Acknowledge(r.Context(), r.person, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) webhooks(w http.ResponseWriter, r *request) error {
	found, err := a.Control.Webhooks(r.Context(), r.person)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, all(found))
}

func (a *api) addWebhook(w http.ResponseWriter, r *request) error {
	var b struct {
		URL string `json:"url"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	hook, secret, err := a.Control.AddWebhook(r.Context(), r.person, b.URL)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, struct {
		fleet.Webhook
		Secret string `json:"secret"`
	}{hook, secret})
}

func (a *api) deleteWebhook(w http.ResponseWriter, r *request) error {
	id, err := number(r)
	if err != nil {
		return err
	}
	if err := a.Control.DeleteWebhook(r.Context(), r.person, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) releases(w http.ResponseWriter, _ *request) error {
	found, err := a.Control.ReleasesHere()
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, all(found))
}

func (a *api) rollouts(w http.ResponseWriter, r *request) error {
	found, err := a.Control.Rollouts(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, all(found))
}

func (a *api) startRollout(w http.ResponseWriter, r *request) error {
	var b struct {
		Agents    []string        `json:"agents"`
		Venue     string          `json:"venue"`
		Change    json.RawMessage `json:"change"`
		Release   string          `json:"release"`
		AtOnce    int             `json:"at_once"`
		MaxFailed int             `json:"max_failed"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	switch {
	case len(b.Agents) > 0 && b.Venue != "":
		return &control.Invalid{Faults: []wire.Fault{{Field: "venue", Code: wire.CodeConflict, Message: "cannot stand beside agents; name one of the two"}}}
	case b.Venue != "":
		var err error
		if b.Agents, err = a.Control.Group(r.Context(), store.Filter{Venue: b.Venue}); err != nil {
			return err
		}
	}
	var x fleet.Rollout
	var err error
	switch {
	case b.Release != "" && len(b.Change) > 0:
		return &control.Invalid{Faults: []wire.Fault{{Field: "release", Code: wire.CodeConflict, Message: "cannot stand beside change; name one of the two"}}}
	case b.Release != "":
		x, err = a.Control.StartRelease(r.Context(), r.person, b.Agents, b.Release, b.AtOnce, b.MaxFailed)
	default:
		x, err = a.Control.StartRollout(r.Context(), r.person, b.Agents, b.Change, b.AtOnce, b.MaxFailed)
	}
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, x)
}

func (a *api) rollout(w http.ResponseWriter, r *request) error {
	x, err := a.Control.Rollout(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, x)
}

func (a *api) steerRollout(w http.ResponseWriter, r *request) error {
	var b struct {
		State fleet.RolloutState `json:"state"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	x, err := a.Control.SteerRollout(r.Context(), r.person, r.PathValue("id"), b.State)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, x)
}

type userBody struct {
	Name      string     `json:"name"`
	Role      fleet.Role `json:"role"`
	Disabled  bool       `json:"disabled"`
	CreatedAt time.Time  `json:"created_at"`
}

func userOf(u fleet.User) userBody { return userBody{u.Name, u.Role, u.Disabled, u.CreatedAt} }

func (a *api) users(w http.ResponseWriter, r *request) error {
	found, err := a.Control.Users(r.Context(), r.person)
	if err != nil {
		return err
	}
	out := []userBody{}
	for _, u := range found {
		out = append(out, userOf(u))
	}
	return reply(w, http.StatusOK, all(out))
}

func (a *api) addUser(w http.ResponseWriter, r *request) error {
	var b struct {
		Name string     `json:"name"`
		Role fleet.Role `json:"role"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	password, token, err := a.Control.AddUser(r.Context(), r.person, b.Name, b.Role)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, map[string]string{"password": password, "token": token})
}

func (a *api) changeUser(w http.ResponseWriter, r *request) error {
	var b struct {
		Role     fleet.Role `json:"role"`
		Disabled bool       `json:"disabled"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	u, err := a.Control.ChangeUser(r.Context(), r.person, r.PathValue("name"), b.Role, b.Disabled)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, userOf(u))
}

func (a *api) addToken(w http.ResponseWriter, r *request) error {
	token, until, err := a.Control.NewToken(r.Context(), r.person, r.PathValue("name"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, map[string]any{"token": token, "expires_at": until})
}

func (a *api) acts(w http.ResponseWriter, r *request) error {
	q := &query{r: r}
	f := q.filter()
	if err := q.err(); err != nil {
		return err
	}
	found, err := a.Control.Acts(r.Context(), r.person, f)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, page(found, f.Limit, func(x fleet.Act) int64 { return x.ID }))
}
