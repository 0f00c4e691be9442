package wire

import (
	"fmt"
	"io"
	"log/slog"
)

// mask is what is shown in place of a secret.
const mask = "***"

// Secret is text that no print, log or error shows: with every verb of fmt and
// in slog it is "***" (empty stays empty). JSON keeps the value, because
// settings are stored and sent: so never hand JSON of settings to people
// without [Settings.Masked]. slog's JSON handler writes JSON too: log Settings
// or a Register, which mask themselves, and no slice of registers.
type Secret string

// Reveal returns the value. Every use of a secret goes through here, so that
// all of them can be found.
func (s Secret) Reveal() string { return string(s) }

// String returns the mask.
func (s Secret) String() string { return string(s.masked()) }

// GoString returns the mask.
func (s Secret) GoString() string { return string(s.masked()) }

// Format writes the mask, whatever the verb: without it %x and %q would reach
// the text itself.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, string(s.masked())) }

// LogValue returns the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(string(s.masked())) }

func (s Secret) masked() Secret {
	if s == "" {
		return ""
	}
	return mask
}
