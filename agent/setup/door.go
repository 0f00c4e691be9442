package setup

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/qr"
	"ekassa/agent/texts"
	"ekassa/cloud/wire"
)

// DoorConfig is what the page of the first start stands on. All is required.
type DoorConfig struct {
	Dir   string // the data folder
	Base  string // where this machine reaches the agent's own API
	Tools Tools
	// Pending says whether the agent has still nothing to serve: no registers, no
	// terminals, no cloud.
	Pending func() bool
	// Local says whether a request came from this machine: there nobody is asked
	// for a code.
	Local func(*http.Request) bool
	// Apply brings settings into force that are on the disk by now.
	Apply func(wire.Settings) error
	// Restart is called at the end where only a new start brings the cloud; perhaps
	// more than once.
	Restart func()
	Log     *slog.Logger
}

// The session of the browser that had the code.
const (
	cookieName = "ekassa-setup"
	sessionAge = 2 * time.Hour
)

// Door serves the page of the first start at /setup/. It is shut for ever once
// the agent is set up and the installer has seen what is shown once.
type Door struct {
	DoorConfig
	codes *Codes
	mux   *http.ServeMux

	work sync.Mutex // one step at a time

	mu      sync.Mutex // guards what follows
	session string     // "": nobody had the code
	until   time.Time
	plan    Plan
	trials  map[string]Trial // real ones, by till and the browser's id
	done    *doneBody        // what is shown once, until the installer has noted it
}

// NewDoor gives it, and the code that opens it.
func NewDoor(c DoorConfig) (d *Door, code string, err error) {
	d = &Door{DoorConfig: c, codes: CodesIn(c.Dir), mux: http.NewServeMux(), trials: map[string]Trial{}}
	for pattern, serve := range map[string]step{
		"GET /setup/state":   d.state,
		"POST /setup/search": d.search,
		"POST /setup/try":    d.try,
		"POST /setup/write":  d.write,
		"POST /setup/test":   d.test,
		"POST /setup/end":    d.end,
	} {
		d.mux.Handle(pattern, d.step(serve))
	}
	d.mux.HandleFunc("POST /setup/code", d.enter)
	if code, err = d.codes.New(); err != nil {
		return nil, "", err
	}
	return d, code, nil
}

// Open says whether there is something for an installer to do: for everybody until
// the agent is set up, and then for the browser that is shown the tokens.
func (d *Door) Open(r *http.Request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done != nil {
		return d.ours(r)
	}
	return d.Pending()
}

// ours says whether a request has the session's cookie.
func (d *Door) ours(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	return err == nil && d.session != "" && time.Now().Before(d.until) &&
		subtle.ConstantTimeCompare([]byte(c.Value), []byte(d.session)) == 1
}

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lang := texts.Match(r.Header.Get("Accept-Language"), "")
	switch {
	case !d.Open(r):
		refuse(w, lang, http.StatusNotFound, "over")
	case r.Method == http.MethodPost && !isJSON(r):
		refuse(w, lang, http.StatusUnsupportedMediaType, "again")
	default:
		d.mux.ServeHTTP(w, r)
	}
}

// isJSON keeps other sites' forms out, as the till's API does.
func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// step is one call; what it gives is the answer. An error is told in the
// language: a problem's words as they stand, others by Words.
type step func(r *http.Request, lang string) (any, error)

// trouble is a problem with its sentence's key.
type trouble struct {
	status int
	key    string
}

func (t *trouble) Error() string { return t.key }

func (d *Door) step(do step) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := texts.Match(r.Header.Get("Accept-Language"), "")
		if !d.known(w, r) {
			refuse(w, lang, http.StatusUnauthorized, "code_needed")
			return
		}
		if r.Method == http.MethodPost { // a search takes seconds, a receipt the time of a printer
			d.work.Lock()
			defer d.work.Unlock()
		}
		answer, err := do(r, lang)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(30 * time.Second)) // not every writer has one
		var t *trouble
		switch {
		case errors.As(err, &t):
			refuse(w, lang, t.status, t.key)
		case err != nil:
			d.Log.Warn("the first start is not done yet", "step", r.URL.Path, "error", err)
			problem(w, http.StatusUnprocessableEntity, "trouble", Words(lang, err))
		default:
			send(w, http.StatusOK, "application/json", answer)
		}
	})
}

func refuse(w http.ResponseWriter, lang string, status int, key string) {
	problem(w, status, key, texts.Say(lang, "setup."+key, nil))
}

func problem(w http.ResponseWriter, status int, key, detail string) {
	send(w, status, "application/problem+json", map[string]any{
		"type": "urn:ekassa:problem:setup_" + key, "title": detail, "status": status, "detail": detail,
	})
}

func send(w http.ResponseWriter, status int, kind string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // only text
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// read reads a call's body.
func read(r *http.Request, v any) error {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 16<<10))
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return &trouble{http.StatusBadRequest, "again"}
	}
	return nil
}

// known says whether a request is from the browser that had the code. One on this
// machine needs none, and is remembered from its first step on.
func (d *Door) known(w http.ResponseWriter, r *http.Request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ours(r) {
		return true
	}
	if !d.Local(r) {
		return false
	}
	if r.Method == http.MethodPost {
		d.begin(w)
	}
	return true
}

// begin makes a session, in the place of the one before.
func (d *Door) begin(w http.ResponseWriter) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	d.session, d.until = base64.RawURLEncoding.EncodeToString(secret[:]), time.Now().Add(sessionAge)
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: d.session, Path: "/", MaxAge: int(sessionAge / time.Second), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// enter takes the code for a session. Whoever had the code before is out.
func (d *Door) enter(w http.ResponseWriter, r *http.Request) {
	lang := texts.Match(r.Header.Get("Accept-Language"), "")
	var b struct {
		Code string `json:"code"`
	}
	if err := read(r, &b); err != nil {
		refuse(w, lang, http.StatusBadRequest, "again")
		return
	}
	switch err := d.codes.Use(b.Code); {
	case errors.Is(err, ErrCode):
		d.Log.Warn("a wrong code for the first start", "from", r.RemoteAddr)
		refuse(w, lang, http.StatusUnauthorized, "code_wrong")
	case err != nil:
		d.Log.Warn("no code for the first start is valid any more: ekassa-agent setup --code makes another one", "from", r.RemoteAddr, "error", err)
		refuse(w, lang, http.StatusUnauthorized, "code_void")
	default:
		d.Log.Info("the first start was opened with its code", "from", r.RemoteAddr)
		d.mu.Lock()
		d.begin(w)
		d.mu.Unlock()
		send(w, http.StatusOK, "application/json", map[string]string{"status": "ok"})
	}
}

type stateBody struct {
	Makers    []string    `json:"makers"`
	Taxes     []string    `json:"taxes"`
	Registers []addedBody `json:"registers"` // tried, and to be written
	Done      *doneBody   `json:"done"`
}

type addedBody struct {
	Driver string `json:"driver"`
	Serial string `json:"serial"`
	Name   string `json:"name"`
	Till   string `json:"till"`
	Spare  bool   `json:"spare"` // of a till that another register works for
}

// doneBody is what is shown once.
type doneBody struct {
	Tills   []tillBody `json:"tills"`
	Manager string     `json:"manager"`
	PIN     string     `json:"pin"`
	Agent   string     `json:"agent"`   // its name at the cloud
	Trouble string     `json:"trouble"` // why it is not connected, though that was asked for
}

type tillBody struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Token string `json:"token"`
	QR    string `json:"qr"` // SVG
}

func (d *Door) state(*http.Request, string) (any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := stateBody{Makers: Makers, Taxes: Taxes, Registers: []addedBody{}, Done: d.done}
	for n, r := range d.plan.Registers {
		b.Registers = append(b.Registers, addedBody{r.Driver, r.Serial, r.Name, d.plan.Terminals[n].Name, r.Mode != wire.ModeActive})
	}
	return b, nil
}

func (d *Door) search(r *http.Request, _ string) (any, error) {
	found, err := d.Tools.Search(r.Context())
	if err != nil {
		return nil, err
	}
	return map[string][]Place{"found": append([]Place{}, found...)}, nil
}

// try asks a register with its secret, and adds it to what is to be written.
func (d *Door) try(r *http.Request, lang string) (any, error) {
	var b struct {
		Driver     string `json:"driver"`
		Address    string `json:"address"`
		Announced  bool   `json:"announced"`
		MerchantID string `json:"merchant_id"`
		Username   string `json:"username"`
		Password   string `json:"password"`
	}
	if err := read(r, &b); err != nil {
		return nil, err
	}
	if d.isDone() {
		return nil, &trouble{http.StatusConflict, "over"}
	}
	at := Place{Driver: b.Driver, Announced: b.Announced}
	at.Address, _ = netip.ParseAddrPort(strings.TrimSpace(b.Address)) // Add refuses what is none
	plan := d.copy()
	if _, err := plan.Add(r.Context(), d.Tools, at, b.MerchantID, b.Username, b.Password); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.plan = plan
	d.mu.Unlock()
	return d.state(r, lang)
}

func (d *Door) isDone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done != nil
}

func (d *Door) copy() Plan {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.plan
	p.Registers, p.Terminals = append([]wire.Register{}, p.Registers...), append([]wire.Terminal{}, p.Terminals...)
	return p
}

// write puts all down: tokens and PIN, then the cloud's certificate, and the
// settings last. Asked again it gives the same.
func (d *Door) write(r *http.Request, lang string) (any, error) {
	var b struct {
		Names []struct {
			Name string `json:"name"`
			Till string `json:"till"`
		} `json:"names"` // of the registers, in their order
		Tax     string `json:"tax"`
		Manager string `json:"manager"`
		Cloud   string `json:"cloud"` // its address; "": none
		Code    string `json:"code"`
	}
	if err := read(r, &b); err != nil {
		return nil, err
	}
	if d.isDone() {
		return d.state(r, lang)
	}
	plan := d.copy()
	plan.Language, plan.Tax = lang, b.Tax
	if b.Manager = strings.TrimSpace(b.Manager); b.Manager == "" || len(plan.Registers) == 0 || len(b.Names) > len(plan.Registers) {
		return nil, &trouble{http.StatusUnprocessableEntity, "again"}
	}
	for n, x := range b.Names {
		plan.Name(n, x.Name, x.Till)
	}
	settings, err := plan.Settings()
	if err != nil {
		return nil, err
	}
	done, err := d.handOut(plan, b.Manager)
	if err != nil {
		return nil, err
	}
	// What was begun is finished, also where the browser goes away.
	ctx := context.WithoutCancel(r.Context())
	var cloud *config.Cloud
	if address := strings.TrimSpace(b.Cloud); address != "" {
		if given, err := d.Tools.Enroll(ctx, address, strings.TrimSpace(b.Code)); err != nil { // all else stands
			done.Trouble = Words(lang, err)
			d.Log.Warn("not connected to the cloud", "error", err)
		} else {
			cloud, done.Agent = &given, given.AgentID
		}
	}
	if err := config.Keep(d.Dir, settings, cloud); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.plan, d.done, d.until = plan, done, time.Now().Add(sessionAge)
	d.mu.Unlock()
	if cloud != nil { // somebody who went away must not keep the cloud waiting for ever
		time.AfterFunc(sessionAge, d.Restart)
	}
	d.Log.Info("set up on the page", "registers", len(settings.Registers), "cloud", cloud != nil, "from", r.RemoteAddr)
	if err := errors.Join(d.Apply(settings), d.codes.Void()); err != nil {
		return nil, fmt.Errorf("bring the settings into force: %w; restart the agent", err)
	}
	return d.state(r, lang)
}

func (d *Door) handOut(plan Plan, manager string) (*doneBody, error) {
	tills, pin, err := plan.HandOut(d.Dir, manager)
	if err != nil {
		return nil, err
	}
	done := &doneBody{Manager: manager, PIN: pin}
	for _, t := range tills {
		picture, err := qr.SVG(t.Token)
		if err != nil {
			return nil, err
		}
		done.Tills = append(done.Tills, tillBody{t.ID, t.Name, t.Token, string(picture)})
	}
	return done, nil
}

// train shows a receipt's life where nothing of it is real.
func (d *Door) train(ctx context.Context, till, lang string) (any, error) {
	plan := d.copy()
	one, ok := plan.Of(till)
	if !ok || d.Tools.Train == nil {
		return nil, &trouble{http.StatusUnprocessableEntity, "again"}
	}
	one.Language = lang
	made, err := d.Tools.Train(ctx, one)
	answer := map[string]any{"training": true, "made": made}
	for n := range made {
		if made[n].URL != "" && err == nil {
			var picture []byte
			picture, err = qr.SVG(made[n].URL)
			made[n].QR = string(picture)
		}
	}
	if err != nil {
		d.Log.Warn("the training did not come to its end; the shop's receipts have no part in it", "error", err)
		answer["trouble"] = Words(lang, err)
	}
	return answer, nil
}

// test sells a receipt as one of the tills: a real one, or in training. A real one
// is the same for the same id, and what was begun is finished: a browser that goes
// away must neither make two of it nor leave a sale without its refund.
func (d *Door) test(r *http.Request, lang string) (any, error) {
	var b struct {
		Till string `json:"till"`
		Real bool   `json:"real"`
		ID   string `json:"id"` // the browser's, of a real one; "": it is not asked for again
	}
	if err := read(r, &b); err != nil {
		return nil, err
	}
	d.mu.Lock()
	token := ""
	if d.done != nil {
		for _, t := range d.done.Tills {
			if t.ID == b.Till {
				token = t.Token
			}
		}
	}
	trial, known := d.trials[b.Till+" "+b.ID]
	if !known {
		trial = NewTrial(lang)
	}
	if token != "" && b.Real && b.ID != "" {
		d.trials[b.Till+" "+b.ID] = trial
	}
	d.mu.Unlock()
	if token == "" {
		return nil, &trouble{http.StatusUnprocessableEntity, "again"}
	}
	if !b.Real {
		return d.train(r.Context(), b.Till, lang)
	}
	made, err := Test(context.WithoutCancel(r.Context()), d.Base, token, lang, trial)
	answer := map[string]any{"made": made}
	if err != nil {
		answer["trouble"] = Words(lang, err)
	}
	return answer, nil
}

// end forgets what was shown once, and shuts the door.
func (d *Door) end(*http.Request, string) (any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		return nil, &trouble{http.StatusConflict, "again"}
	}
	if d.done.Agent != "" {
		d.Restart()
	}
	d.done, d.session, d.plan = nil, "", Plan{}
	clear(d.trials)
	return map[string]string{"status": "ok"}, nil
}
