package control

import (
	"context"
	"encoding/json"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// StartRelease brings one version of the program to a group of agents, as
// StartRollout does with settings: the next ones are ordered it when those before
// have proven it, or have not and are still few. Errors: *Invalid.
func (c *Control) StartRelease(ctx context.Context, p Person, agents []string, version string, atOnce, maxFailed int) (r fleet.Rollout, err error) {
	if err := p.needs(fleet.Operator); err != nil {
		return r, err
	}
	if err := c.ordered("release", version); err != nil {
		return r, err
	}
	r = fleet.Rollout{Release: version, AtOnce: atOnce, MaxFailed: maxFailed}
	return c.startRollout(ctx, p, agents, r, func(fleet.Agent) error { return nil })
}

// order orders the version of an agent, unless it has that or a newer one.
func (c *Control) order(ctx context.Context, r fleet.Rollout, a fleet.Agent, x *fleet.RolloutAgent) error {
	if wire.StampedVersion(a.Version).Compare(wire.StampedVersion(r.Release)) >= 0 {
		x.State, x.Reason = agentSkipped, "has version "+a.Version+" already"
		return nil
	}
	arguments, err := json.Marshal(map[string]string{"version": r.Release})
	if err != nil {
		return err
	}
	by := Person{Name: "rollout " + r.ID, Role: fleet.Operator}
	o, err := c.Command(ctx, by, a.ID, wire.CommandUpdate, arguments, longestLife)
	if err != nil {
		return err
	}
	x.State, x.Command, x.Reported = fleet.StatePending, o.ID, time.Time{}
	if a.Reported.Program != nil {
		x.Reported = a.Reported.Program.At
	}
	return nil
}

// learn finds out what became of an ordered version: first of its being fetched,
// which the command's answer says, and then of its running, which the agent reports.
func (c *Control) learn(ctx context.Context, r fleet.Rollout, a fleet.Agent, x *fleet.RolloutAgent) error {
	o, err := c.store.Command(ctx, a.ID, x.Command)
	if err != nil {
		return err
	}
	switch p := a.Reported.Program; o.State {
	case fleet.CommandFailed:
		x.State, x.Reason = wire.StateRefused, o.Error
	case fleet.CommandExpired: // it was away all the time: once more
		return c.order(ctx, r, a, x)
	case fleet.CommandDone:
		// What it reports may be of an order before this one, until it reports anew.
		if p == nil || p.Version != r.Release || p.At.Equal(x.Reported) {
			break
		}
		switch p.State {
		case wire.ProgramApplied:
			x.State, x.Reason = wire.StateApplied, ""
		case wire.ProgramReverted, wire.ProgramFailed:
			x.State, x.Reason = wire.StateReverted, p.Reason
		}
	}
	return nil
}
