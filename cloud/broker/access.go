package broker

import (
	_ "embed"
	"strings"

	"ekassa/cloud/wire"
)

// What each side may write; the other reads it (contract.md 5).
var (
	fromAgent = []string{wire.TopicPresence, wire.TopicReported, wire.TopicReport, wire.TopicResult}
	fromCloud = []string{wire.TopicDesired, wire.TopicAck, wire.TopicCommand}
)

// may says whether an agent may publish to a topic, or else subscribe to it: its
// own ones only, by their whole names.
func may(agent, topic string, publish bool) bool {
	side := fromCloud
	if publish {
		side = fromAgent
	}
	for _, last := range side {
		if topic == wire.Topic(agent, last) {
			return true
		}
	}
	return false
}

// The same for Mosquitto.
var (
	//go:embed mosquitto/acl
	mosquittoACL string
	//go:embed mosquitto/mosquitto.conf
	mosquittoConf string
)

// Mosquitto gives the two files that make Mosquitto a broker for a fleet, in the
// folder dir: its configuration and its access list.
func Mosquitto(dir string) (conf, acl string) {
	return strings.ReplaceAll(mosquittoConf, "DIR", dir), mosquittoACL
}
