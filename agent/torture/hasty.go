package torture

import (
	"time"

	"ekassa/agent"
	"ekassa/agent/dispatch"
)

// Hasty is the patience of an agent whose registers answer within a blink and
// are never at work on a document for longer than half a second. All else is as
// it is in a restaurant.
var Hasty = agent.Options{
	Pace: dispatch.Pace{
		First: 30 * time.Millisecond, Most: 150 * time.Millisecond, Poll: 40 * time.Millisecond, Probe: 300 * time.Millisecond,
		Question: 2 * time.Second, Document: 3 * time.Second, Grace: 2 * time.Second,
	},
	Settle: 600 * time.Millisecond,
	Look:   agent.Look{Window: 200 * time.Millisecond, Pause: 50 * time.Millisecond},
}
