package config

import "strings"

// Hint is a kind of warning.
type Hint string

// The hints.
const (
	HintNothing     Hint = "nothing"      // to serve
	HintPlainBroker Hint = "plain_broker" // read along by everyone on the way
	HintDoor        Hint = "door"         // that leads to no till; Detail: which
	HintPrinter     Hint = "printer"      // of no till; Detail: which
	HintUnread      Hint = "unread"       // what was set on the page; Detail: why
	HintUnused      Hint = "unused"       // what was set on the page; Detail: the file
	HintReadable    Hint = "readable"     // a secret, for every user; Detail: the file and its mode
	HintWritable    Hint = "writable"     // for every user; Detail: the file and its mode
)

// Warning is a fact that stops nothing but that people should hear of.
type Warning struct {
	Hint   Hint
	Detail string // without secrets
}

// hints are for the log; {} is the detail.
var hints = map[Hint]string{
	HintNothing:     "there is neither cloud nor settings, so no register is served; write one of them",
	HintPlainBroker: "cloud.broker is not encrypted, so everyone on the way can read along; write mqtts://",
	HintDoor:        "{} is not among the terminals of settings; its till waits until it is",
	HintPrinter:     "{} is not among the terminals of settings; nothing is printed there until it is",
	HintUnread:      "what was set up on the page cannot be read by this user: {}; run it as root",
	HintUnused:      "agent.yaml names registers or terminals, so those of {} are not used; remove one of the two",
	HintReadable:    "every user can read the merchant id or password in {}; run chmod o-rwx on it",
	HintWritable:    "every user can change {}; run chmod o-w on it",
}

// String is one lower-case line.
func (w Warning) String() string { return strings.Replace(hints[w.Hint], "{}", w.Detail, 1) }
