package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"ekassa/cloud/wire"
)

// Mask is what is shown in place of a register's secret, and sent back to leave
// it as it is.
const Mask = "***"

// secretFields of a register, as JSON calls them.
var secretFields = []string{"merchant_id", "username", "password"}

// ParseSettings reads settings that a person sends, over those that they saw.
//
// The rule for secrets: a merchant id, user name or password that is "***"
// stays what it is in the settings before, in the register of the same id and
// the same driver. Where there is none to keep, that field is refused, as it is
// wherever "***" stands without a register to compare. So a mask can never
// become a secret, and no secret goes to another register or another maker's
// protocol. "" or leaving the field out takes the secret away.
//
// The error is a [*wire.SettingsError].
func ParseSettings(data []byte, before wire.Settings) (wire.Settings, error) {
	s, err := wire.ParseSettings(data)
	var refused *wire.SettingsError
	if !errors.As(err, &refused) {
		return s, err
	}
	// A first reading over the whole finds what no second one would, such as
	// keys written twice. Only faults of masked fields may be cured.
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if d.Decode(&tree) != nil {
		return s, err
	}
	masked := unmask(tree, before)
	rest := slices.DeleteFunc(slices.Clone(refused.Faults), func(f wire.Fault) bool {
		return f.Code == wire.CodeValue && masked[f.Field] == kept
	})
	for i, f := range rest {
		if f.Code == wire.CodeValue && masked[f.Field] == lost {
			rest[i] = wire.Fault{Field: f.Field, Code: wire.CodeMissing, Detail: Mask,
				Message: `is masked, and no such register had one before to keep; write the real one`}
		}
	}
	if len(rest) > 0 {
		return wire.Settings{}, &wire.SettingsError{Faults: rest}
	}
	whole, err := json.Marshal(tree)
	if err != nil {
		return s, fmt.Errorf("write settings with their secrets: %w", err)
	}
	return wire.ParseSettings(whole)
}

// What became of a masked field.
const (
	kept = 1 + iota
	lost
)

// unmask replaces the masked secrets of a tree of settings, and says by field
// which were kept and which had nothing to keep.
func unmask(tree map[string]any, before wire.Settings) map[string]int {
	masked := map[string]int{}
	registers, _ := tree["registers"].([]any)
	for i, x := range registers {
		register, _ := x.(map[string]any)
		id, _ := register["id"].(string)
		driver, _ := register["driver"].(string)
		for _, name := range secretFields {
			if register[name] != Mask {
				continue
			}
			field := fmt.Sprintf("registers[%d].%s", i, name)
			masked[field] = lost
			if r, ok := before.Register(id); ok && r.Driver == driver {
				if secret := secretOf(r, name); secret != "" {
					register[name] = secret.Reveal()
					masked[field] = kept
				}
			}
		}
	}
	return masked
}

func secretOf(r wire.Register, name string) wire.Secret {
	switch name {
	case "merchant_id":
		return r.MerchantID
	case "username":
		return r.Username
	default:
		return r.Password
	}
}
