package wire_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"ekassa/cloud/wire"
)

const release = `{"v":1,"version":"1.2.0","over":"1.0.0","journal":{"schema":9,"readable_from":8},
 "created":"2026-11-29T08:00:00Z","expires":"2027-05-28T08:00:00Z","programs":[
 {"target":"linux-amd64","name":"ekassa-agent-linux-amd64","size":5,"sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
 {"target":"linux-arm64","name":"ekassa-agent-linux-arm64","size":5,"sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}]}`

func TestParseRelease_TakesNothingThatItDoesNotUnderstand(t *testing.T) {
	r, err := wire.ParseRelease([]byte(release))
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := r.Program("linux-arm64"); !ok || p.Name != "ekassa-agent-linux-arm64" || p.Size != 5 {
		t.Errorf("%+v", p)
	}
	if _, ok := r.Program("linux-riscv64"); ok {
		t.Error("a program for a machine that it is not built for")
	}
	for what, change := range map[string][2]string{
		"another form":        {`"v":1`, `"v":2`},
		"an unknown field":    {`"v":1`, `"v":1,"min":"1"`},
		"something behind":    {`}]}`, `}]}{}`},
		"no version":          {`"1.2.0"`, `"1.2"`},
		"a padded version":    {`"1.2.0"`, `"1.02.0"`},
		"a huge version":      {`"1.2.0"`, `"1.2.100000"`},
		"over itself":         {`"over":"1.0.0"`, `"over":"1.2.0"`},
		"no journal":          {`"schema":9`, `"schema":0`},
		"a journal backwards": {`"readable_from":8`, `"readable_from":10`},
		"expired when made":   {`2027-05-28`, `2026-05-28`},
		"no sum":              {`2cf24dba`, `2CF24DBA`},
		"a short sum":         {`2cf24dba`, ``},
		"an empty program":    {`"size":5`, `"size":0`},
		"a program too large": {`"size":5`, `"size":134217729`},
		"a path":              {`"name":"ekassa-agent-linux-arm64"`, `"name":"ekassa-agent/../x"`},
		"a name twice":        {`"name":"ekassa-agent-linux-arm64"`, `"name":"ekassa-agent-linux-amd64"`},
		"a target twice":      {`"target":"linux-arm64"`, `"target":"linux-amd64"`},
		"not sorted":          {`"target":"linux-amd64"`, `"target":"linux-zzz"`},
		"no programs":         {release[strings.Index(release, `"programs"`):], `"programs":[]}`},
	} {
		changed := strings.Replace(release, change[0], change[1], 1)
		if changed == release {
			t.Fatalf("%s: nothing was changed", what)
		}
		if _, err := wire.ParseRelease([]byte(changed)); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if _, err := wire.ParseRelease([]byte(release + strings.Repeat(" ", wire.MaxRelease))); err == nil {
		t.Error("more bytes than a release may have are taken")
	}
}

func TestStampedVersion_ReadsWhateverABuildStamps(t *testing.T) {
	for stamp, want := range map[string]string{
		"1.2.3": "1.2.3", "v1.2.3": "1.2.3", "1.12.0.5.gabc1234": "1.12.0", "0.0.0+abc": "0.0.0", "development": "0.0.0", "": "0.0.0",
	} {
		if got := wire.StampedVersion(stamp).String(); got != want {
			t.Errorf("%q is %s and not %s", stamp, got, want)
		}
	}
	a, _ := wire.ParseVersion("1.9.0")
	b, _ := wire.ParseVersion("1.10.0")
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 {
		t.Error("1.9.0 is not below 1.10.0")
	}
}

func FuzzParseRelease(f *testing.F) {
	f.Add([]byte(release))
	f.Add([]byte(strings.Replace(release, "1.0.0", "9.0.0", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := wire.ParseRelease(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		// What was taken is taken again, and means the same.
		second, err := wire.ParseRelease(again)
		if err != nil || second.Version != r.Version || !reflect.DeepEqual(second.Programs, r.Programs) || !second.Expires.Equal(r.Expires) {
			t.Fatalf("%v\n%s\n%s", err, data, again)
		}
	})
}
