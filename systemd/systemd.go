// Package systemd has the units as they are shipped, for packages and for
// ekassa-agent install: one text for both.
package systemd

import _ "embed"

// AgentUnit is the agent's unit. It runs AgentProgram with AgentConfig.
//
//go:embed ekassa-agent.service
var AgentUnit string

// AgentSocket is the unit of the socket that AgentUnit is given, port 80.
//
//go:embed ekassa-agent.socket
var AgentSocket string

// AgentUsers makes the user that the unit names, in sysusers.d(5)'s form.
//
//go:embed ekassa-agent.sysusers
var AgentUsers string

// AgentSettings is the configuration that an agent starts with: safe, and
// sending nothing anywhere yet.
//
//go:embed agent.yaml
var AgentSettings string

// What the agent's unit has at the places that install may choose.
const (
	AgentProgram = "/usr/bin/ekassa-agent"
	AgentConfig  = "/etc/ekassa-agent/agent.yaml"
	AgentUser    = "ekassa-agent"
)
