package fleet_test

import (
	"regexp"
	"strings"
	"testing"

	"ekassa/cloud/fleet"
)

func TestCode_IsKnownHoweverItIsTyped(t *testing.T) {
	code := fleet.NewCode()
	if !regexp.MustCompile(`^([A-HJ-NP-Z2-9]{4}-){2}[A-HJ-NP-Z2-9]{4}$`).MatchString(code) || fleet.NewCode() == code {
		t.Fatal(code)
	}
	for _, typed := range []string{strings.ToLower(code), strings.ReplaceAll(code, "-", ""), " " + strings.ReplaceAll(code, "-", " ") + "\n"} {
		if fleet.HashCode(typed) != fleet.HashCode(code) {
			t.Errorf("%q is another code than %q", typed, code)
		}
	}
	if fleet.HashCode(code) == fleet.HashCode(code[1:]) {
		t.Error("another code is the same")
	}
}
