package azsmart

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

// officialData and the sign below are the maker's published example (2.1).
const officialData = "eyJkb2NOdW1iZXIiOiAgIjEyMyIsImVtcGxveWVlTmFtZSI6ICLQmNCy0LDQvdC+0LIiLCJhbW91bnQiOiAgMTUwMDAsImN1cnJlbmN5IjogIkFaTiIsCiAiaXRlbXMiOiBbeyJpdGVtSWQiOiAiMTExMSIsICJpdGVtTmFtZSI6ICLQodC10LzQtdGH0LrQuCIsICJpdGVtUVJDb2RlIjogIiIsICJpdGVtUXR5IjogMjAwMCwKICJpdGVtQW1vdW50IjogMTUwMDAsImRpc2NvdW50IjogMCwiaXRlbVRheGVzIjogW3sidGF4TmFtZSI6ICLQndCU0KEiLCJ0YXhQcmMiOiAxODAwfV19XSwKICJwYXltZW50cyIgOiB7ImNhc2hBbW91bnQiOiAxNTAwMCwiY2FzaGxlc3NBbW91bnQiOiAwLCJvdGhlckFtb3VudCI6IDB9fQ=="

func TestSign_MatchesTheMakersVector(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{officialData, "ZmNlOTU1MjlkNzI0NjYxOTE2ODNlMDJiMTdhOGIxMjA0YzE2NWE0OQ=="},
		{"e30=", "NWRhNzU1ZTA5ZWZlNzA2YjE5NGI3NmJmOWFiZjk2ZGIyNzhmMzlkNg=="},
		{"eyJlbXBsb3llZU5hbWUiOiLGj2xpIn0=", "MGYxNDU1YjAzMjYyZjllNDYzMGM3YTI4YmJmZjY5ODkwMzVlN2I2NQ=="},
	} {
		if got := sign(c.data, merchant); got != c.want {
			t.Errorf("sign of %.20s… is %s, want %s", c.data, got, c.want)
		}
		if body, err := base64.StdEncoding.DecodeString(c.data); err != nil || !strings.Contains(string(form(body, merchant, EscapeEquals)), strings.ReplaceAll(c.want, "=", "%3D")) {
			t.Errorf("the form of %.20s… is not signed so: %v", c.data, err)
		}
	}
}

func TestForm_SurvivesAFormDecoder(t *testing.T) {
	body, err := base64.StdEncoding.DecodeString(officialData)
	if err != nil {
		t.Fatal(err)
	}
	values, err := url.ParseQuery(string(form(body, merchant, EscapeAll)))
	if err != nil || values.Get("data") != officialData || values.Get("sign") != sign(officialData, merchant) {
		t.Errorf("decoded form %v, %v", values, err)
	}
	only := string(form(body, merchant, EscapeEquals))
	if !strings.Contains(only, "+") || strings.Contains(only, "%2B") || strings.Count(only, "=") != 2 {
		t.Errorf("more or less than = is escaped: %s", only)
	}
}
