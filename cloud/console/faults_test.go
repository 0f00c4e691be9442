package console_test

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ekassa/cloud/api"
	"ekassa/cloud/console"
	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// words are those of a language, as they stand in its file.
func words(t *testing.T, lang string) (m map[string]string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("texts", lang+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// desk is a person who is signed in, without a browser.
type desk struct {
	*office
	session *http.Cookie
}

func (o *office) signIn(name, password string) desk {
	o.Helper()
	secret, _, err := o.control.Login(o.Context(), name, password, "127.0.0.1")
	if err != nil {
		o.Fatal(err)
	}
	return desk{o, &http.Cookie{Name: api.Cookie, Value: secret}}
}

// ask sends a request in a language; form is nil where nothing is sent.
func (d desk) ask(lang, method, path string, form url.Values) (status int, page string) {
	d.Helper()
	return d.send(lang, method, path, "application/x-www-form-urlencoded", form.Encode())
}

func (d desk) send(lang, method, path, kind, body string) (status int, answer string) {
	d.Helper()
	r, err := http.NewRequestWithContext(d.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", kind)
	}
	r.AddCookie(d.session)
	r.AddCookie(&http.Cookie{Name: "ekassa_language", Value: lang})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w, err := client.Do(r)
	if err != nil {
		d.Fatal(err)
	}
	defer w.Body.Close()
	data, err := io.ReadAll(w.Body)
	if err != nil {
		d.Fatal(err)
	}
	return w.StatusCode, string(data)
}

// What is wrong with a form is said in the page's language, with what would fit,
// and nothing else: the words of the API stay with the API.
func TestConsole_SaysWhatIsWrongInThePagesLanguage(t *testing.T) {
	o := open(t)
	password := o.user("leyla", fleet.Admin)
	d := o.signIn("leyla", password)
	o.enrol(box{venue: "baku-01", name: "Nizami 10", agent: "baku-01-a"})
	o.enrol(box{venue: "baku-02", name: "Çayxana Əli", agent: "baku-02-a"})
	if _, err := o.control.AddVenue(t.Context(), owner, "empty", "No agents"); err != nil {
		t.Fatal(err)
	}
	if err := o.control.SwitchModule(t.Context(), owner, "baku-01", "azsmart", true); err != nil {
		t.Fatal(err)
	}
	kassa := func(id, more string) string {
		return fmt.Sprintf(`{"id":%q,"driver":"azsmart","merchant_id":"9662a13f5b4f46dbb1751bbbf86ed402"%s}`, id, more)
	}
	if _, err := o.control.PutSettings(t.Context(), owner, "baku-01-a", 0, []byte(`{"registers":[`+kassa("bar", "")+`]}`)); err != nil {
		t.Fatal(err)
	}
	over, err := o.control.StartRollout(t.Context(), owner, []string{"baku-02-a"}, json.RawMessage(`{"language":"ru"}`), 1, 0)
	if err == nil {
		_, err = o.control.SteerRollout(t.Context(), owner, over.ID, fleet.RolloutStopped)
	}
	if err != nil {
		t.Fatal(err)
	}

	settings := func(text string) url.Values { return url.Values{"rev": {"1"}, "settings": {text}} }
	rollout := func(venue, change, atOnce, failed string) url.Values {
		return url.Values{"venue": {venue}, "change": {change}, "at_once": {atOnce}, "max_failed": {failed}}
	}
	const agent, fine = "/agents/baku-01-a", `{"language":"ru"}`
	type fault struct{ field, key, detail string }
	shown := map[string]bool{}
	for _, c := range []struct {
		path string
		form url.Values
		want []fault
	}{
		{"/venues", url.Values{"id": {"Çay!"}, "name": {"Ç"}}, []fault{{"id", "fault_of.value", "a–z, 0–9, -; 1–63: baku-01"}}},
		{"/venues", url.Values{"id": {"cay"}, "name": {strings.Repeat("x", 201)}}, []fault{{"name", "fault_at.value.name", "1–200"}}},
		{"/venues/baku-01/enrol", url.Values{"agent": {"a b"}}, []fault{{"agent", "fault_of.value", "A–Z, a–z, 0–9, -, _, .; 1–64"}}},
		{"/venues/baku-01/enrol", url.Values{"agent": {"baku-02-a"}}, []fault{{"agent", "fault_at.duplicate.agent", ""}}},
		{"/venues/baku-01/modules", url.Values{"driver": {"azsmart"}, "enabled": {"false"}}, []fault{{"enabled", "fault_at.conflict.enabled", "baku-01-a"}}},
		{"/users", url.Values{"name": {"Ə!"}, "role": {"viewer"}}, []fault{{"name", "fault_at.value.name", "A–Z, a–z, 0–9, ., _, @, -; 1–64"}}},
		{"/users", url.Values{"name": {"rauf"}, "role": {"owner"}}, []fault{{"role", "fault_of.value", "admin, operator, viewer"}}},
		{"/users/leyla", url.Values{"role": {"viewer"}}, []fault{{"role", "fault_at.conflict.role", ""}}},
		{"/password", url.Values{"old": {password}, "new": {"short"}}, []fault{{"password", "fault_at.value.password", fmt.Sprintf("%d–200", fleet.MinPassword)}}},
		{"/webhooks", url.Values{"url": {"ftp://x"}}, []fault{{"url", "fault_of.value", "https://…, http://…"}}},

		{"/rollouts", rollout("", `{}`, "5", "0"), []fault{{"change", "fault_of.type", `{"…": …}`}}},
		{"/rollouts", rollout("", `{"registers":[]}`, "5", "0"), []fault{{"change.registers", "fault_at.value.change.registers", ""}}},
		{"/rollouts", rollout("", `{"terminals":[]}`, "5", "0"), []fault{{"change.terminals", "fault_at.value.change.terminals", ""}}},
		{"/rollouts", rollout("baku-02", `{"language":"xx","nope":1}`, "5", "0"), []fault{{"change", "fault_at.value.change", "baku-02-a: language, nope"}}},
		{"/rollouts", rollout("", fine, "many", "0"), []fault{{"at_once", "fault_of.value", "1–1000"}}},
		{"/rollouts", rollout("", fine, "5", "7"), []fault{{"max_failed", "fault_of.value", "0–2"}}},
		{"/rollouts", rollout("empty", fine, "5", "0"), []fault{{"agents", "fault_at.value.agents", "1–100000"}}},
		{"/rollouts/" + over.ID + "/state", url.Values{"state": {"running"}}, []fault{{"state", "fault_at.conflict.state", ""}}},

		{agent + "/commands", url.Values{"name": {"check"}, "arguments": {"[]"}}, []fault{{"arguments", "fault_of.type", "{…}"}}},
		{agent + "/commands", url.Values{"name": {"update"}, "arguments": {`{"version":"9"}`}}, []fault{{"arguments.version", "fault.unknown", ""}}},
		{agent + "/revoke", url.Values{"sure": {"baku-02-a"}}, []fault{{"sure", "fault_of.value", "baku-01-a"}}},

		{agent + "/settings", settings(`{"language": az}`), []fault{{"", "fault_of.syntax", "14"}}},
		{agent + "/settings", settings("{\"language\": \"\xff\"}"), []fault{{"", "fault.syntax", ""}}},
		{agent + "/settings", settings(`[]`), []fault{{"", "fault_of.type", "{…}"}}},
		{agent + "/settings", settings(`{"language":"xx","module":true,"nope":1}`), []fault{
			{"language", "fault_of.value", "az, ru, en"}, {"module", "fault_of.type", "{…}"},
			{"nope", "fault_of.unknown", "language, module, offline, registers, shift, tax, terminals, timezone"}}},
		{agent + "/settings", settings(`{"language":"az","language":"ru"}`), []fault{{"language", "fault.duplicate", ""}}},
		{agent + "/settings", settings(`{"terminals":[{"id":"a","name":"\u0001"}]}`), []fault{{"terminals[0].name", "fault.value", ""}}},
		{agent + "/settings", settings(`{"terminals":[{"id":"a"},{"id":"A"}]}`), []fault{{"terminals[1].id", "fault_of.duplicate", "terminals[0].id"}}},
		{agent + "/settings", settings(`{"shift":{"warn_after":["23h","22h"],"close_at":"5"}}`), []fault{
			{"shift.close_at", "fault_of.value", "05:00; 00:00–23:59"}, {"shift.warn_after[1]", "fault_at.conflict.shift.warn_after", "shift.warn_after[0]"}}},
		{agent + "/settings", settings(`{"tax":{"type":"vat18","name":"ƏDV","rate":"18"}}`), []fault{
			{"tax.name", "fault_of.conflict", "type"}, {"tax.rate", "fault_of.conflict", "type"}}},
		{agent + "/settings", settings(`{"registers":[{"id":"bar","driver":"azsmart"}]}`), []fault{{"registers[0].merchant_id", "fault.missing", ""}}},
		{agent + "/settings", settings(`{"registers":[{"id":"new","driver":"azsmart","merchant_id":"***"}]}`), []fault{{"registers[0].merchant_id", "fault_of.missing", "***"}}},
		{agent + "/settings", settings(`{"registers":[{"id":"bar","driver":"omnitech"}]}`), []fault{{"registers[0].driver", "fault_at.conflict.registers.driver", "omnitech"}}},
		{agent + "/settings", settings(`{"terminals":[{"id":"t"}],"registers":[` + kassa("a", `,"terminal":"t"`) + "," + kassa("b", `,"terminal":"t"`) + `]}`), []fault{
			{"registers[0].mode", "fault_at.conflict.registers.mode", "registers[0].mode, registers[1].mode"},
			{"registers[1].mode", "fault_at.conflict.registers.mode", "registers[0].mode, registers[1].mode"}}},
	} {
		for _, lang := range console.Languages {
			says := words(t, lang)
			var want []string
			for _, f := range c.want {
				s, ok := says[f.key]
				if !ok {
					t.Errorf("%s has no text %s", lang, f.key)
				}
				shown[f.key] = true
				s = strings.ReplaceAll(s, "{0}", f.detail)
				if f.field != "" {
					s = f.field + ": " + s
				}
				want = append(want, s)
			}
			status, page := d.ask(lang, http.MethodPost, c.path, c.form)
			var got []string
			_, list, _ := strings.Cut(page, `role="alert"`)
			list, _, _ = strings.Cut(list, "</section>")
			for _, m := range regexp.MustCompile(`<li>(.*?)</li>`).FindAllStringSubmatch(list, -1) {
				got = append(got, html.UnescapeString(strings.NewReplacer("<code>", "", "</code>", "").Replace(m[1])))
			}
			if status != http.StatusUnprocessableEntity || !slices.Equal(got, want) {
				t.Errorf("%s %v in %s: %d\n got %q\nwant %q", c.path, c.form, lang, status, got, want)
			}
		}
	}
	// Nothing lies in the texts that no page says; each code has its two sentences, should a rule be new.
	codes := []string{wire.CodeSyntax, wire.CodeUnknown, wire.CodeMissing, wire.CodeType, wire.CodeValue, wire.CodeDuplicate, wire.CodeConflict}
	for key := range words(t, "en") {
		group, code, _ := strings.Cut(key, ".")
		if strings.HasPrefix(group, "fault") && !shown[key] && (group == "fault_at" || !slices.Contains(codes, code)) {
			t.Errorf("no page has said %s", key)
		}
	}
	for _, code := range codes {
		for _, key := range []string{"fault." + code, "fault_of." + code} {
			if words(t, "en")[key] == "" {
				t.Errorf("no text %s", key)
			}
		}
	}

	status, answer := d.send("az", http.MethodPost, "/api/v1/venues", "application/json", `{"id":"Çay!","name":"Ç"}`)
	const told = `"errors":[{"field":"id","code":"value","message":"must be 1 to 63 small letters, digits and hyphens, such as baku-01"}]`
	if status != http.StatusUnprocessableEntity || !strings.Contains(answer, told) {
		t.Errorf("the API: %d %s", status, answer)
	}
	if list, err := o.control.Venues(t.Context()); err != nil || len(list) != 3 {
		t.Errorf("%v, %+v", err, list)
	}
}
