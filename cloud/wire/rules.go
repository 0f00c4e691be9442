package wire

import (
	"fmt"
	"strings"
)

// checkRules adds what no schema can say. Fields that already have a fault are
// not in s any more, and nothing is concluded from their absence.
func checkRules(s Settings, fs *faults) {
	checkTerminals(s, fs)
	checkRegisters(s, fs)
	checkActive(s, fs)
	for i := 1; i < len(s.Shift.WarnAfter); i++ {
		if before, here := s.Shift.WarnAfter[i-1], s.Shift.WarnAfter[i]; here <= before {
			fs.add(item("shift.warn_after", i), CodeConflict, item("shift.warn_after", i-1),
				fmt.Sprintf("%s does not come after %s; write the ages ascending", here, before))
		}
	}
}

func registerField(i int, key string) string { return child(item("registers", i), key) }
func terminalField(i int, key string) string { return child(item("terminals", i), key) }

// taken finds values that two would share. Empty values are nobody's.
type taken map[string]string

func (t taken) add(value, field, advice string, fs *faults) {
	if value == "" {
		return
	}
	if first, ok := t[value]; ok {
		fs.add(field, CodeDuplicate, first, "is the same as "+first+"; "+advice)
		return
	}
	t[value] = field
}

func checkTerminals(s Settings, fs *faults) {
	ids := taken{}
	for i, t := range s.Terminals {
		ids.add(strings.ToLower(t.ID), terminalField(i, "id"), "give each terminal its own id", fs)
	}
}

func checkRegisters(s Settings, fs *faults) {
	ids, addresses, serials := taken{}, taken{}, taken{}
	terminalsSound := !fs.within("terminals")
	for i, r := range s.Registers {
		ids.add(strings.ToLower(r.ID), registerField(i, "id"), "give each register its own id", fs)
		if r.Address.IsValid() {
			addresses.add(r.Address.String(), registerField(i, "address"), "write each register's own address", fs)
		}
		serials.add(strings.ToLower(r.Serial), registerField(i, "serial"), "write each register's own serial number", fs)
		if _, ok := s.Terminal(r.Terminal); !ok && r.Terminal != "" && terminalsSound {
			fs.add(registerField(i, "terminal"), CodeValue, strings.Join(terminalIDs(s), ", "),
				quote(r.Terminal)+" is not among the terminals; "+terminalAdvice(s))
		}
	}
}

func terminalAdvice(s Settings) string {
	if len(s.Terminals) == 0 {
		return "add it to terminals"
	}
	return "add it there, or write one of " + strings.Join(terminalIDs(s), ", ")
}

func terminalIDs(s Settings) (ids []string) {
	for _, t := range s.Terminals {
		ids = append(ids, t.ID)
	}
	return ids
}

// checkActive holds that of several registers bound to one terminal exactly
// one is active. A single one may stand by: its terminal's receipts then wait.
func checkActive(s Settings, fs *faults) {
	bound := map[string][]int{}
	for i, r := range s.Registers {
		if r.Terminal != "" {
			bound[r.Terminal] = append(bound[r.Terminal], i)
		}
	}
	for terminal, registers := range bound {
		var active, offline []string
		sound := true
		for _, i := range registers {
			field := registerField(i, "mode")
			sound = sound && !fs.within(field)
			if s.Registers[i].Mode == ModeActive {
				active = append(active, field)
			} else {
				offline = append(offline, field)
			}
		}
		switch {
		case !sound || len(registers) < 2 || len(active) == 1:
		case len(active) == 0:
			for _, field := range offline {
				fs.add(field, CodeConflict, strings.Join(offline, ", "), fmt.Sprintf("of %s no register is active (%s); make exactly one active", terminal, strings.Join(offline, ", ")))
			}
		default:
			for _, field := range active {
				fs.add(field, CodeConflict, strings.Join(active, ", "), fmt.Sprintf("of %s more than one register is active (%s); make all but one offline", terminal, strings.Join(active, ", ")))
			}
		}
	}
}
