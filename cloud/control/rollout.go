package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// What becomes of a rollout at one agent, beside what the agent itself reports.
const (
	agentWaiting = "waiting" // its turn has not come
	agentSkipped = "skipped" // its settings would be invalid, or are so already; Reason says which
)

// StartRollout brings one change to the settings of a group of agents, atOnce at
// a time. change is a JSON merge patch (RFC 7396) over each agent's own settings.
// Where more than maxFailed of them refuse or revert it, it pauses. It is tried on
// every agent's settings before any is sent one. Errors: *Invalid.
func (c *Control) StartRollout(ctx context.Context, p Person, agents []string, change json.RawMessage, atOnce, maxFailed int) (r fleet.Rollout, err error) {
	if err := p.needs(fleet.Operator); err != nil {
		return r, err
	}
	var patch map[string]any
	if err := json.Unmarshal(change, &patch); err != nil || len(patch) == 0 {
		return r, invalid("change", wire.CodeType, `{"…": …}`, "must be an object with at least one setting, merged over each agent's own")
	}
	for _, key := range []string{"registers", "terminals"} {
		if _, there := patch[key]; there {
			return r, invalid("change."+key, wire.CodeValue, "", "differs from agent to agent; a group cannot share it")
		}
	}
	r = fleet.Rollout{Change: change, AtOnce: atOnce, MaxFailed: maxFailed}
	return c.startRollout(ctx, p, agents, r, func(a fleet.Agent) error {
		_, _, err := c.merged(ctx, a, change)
		var refused *wire.SettingsError
		if errors.As(err, &refused) {
			err = invalid("change", wire.CodeValue, a.ID+": "+fields(refused), "does not fit agent "+a.ID+": "+refused.Error())
		}
		return err
	})
}

// fields are those that are wrong.
func fields(e *wire.SettingsError) string {
	var list []string
	for _, f := range e.Faults {
		list = append(list, f.Field)
	}
	return strings.Join(list, ", ")
}

// startRollout begins one that fits each of the agents.
func (c *Control) startRollout(ctx context.Context, p Person, agents []string, r fleet.Rollout, fits func(fleet.Agent) error) (fleet.Rollout, error) {
	if r.AtOnce < 1 || r.AtOnce > 1000 {
		return r, invalid("at_once", wire.CodeValue, "1–1000", "must be from 1 to 1000")
	}
	if r.MaxFailed < 0 || r.MaxFailed > len(agents) {
		return r, invalid("max_failed", wire.CodeValue, fmt.Sprintf("0–%d", len(agents)), "must be from 0 to the number of agents")
	}
	if len(agents) == 0 || len(agents) > 100_000 {
		return r, invalid("agents", wire.CodeValue, "1–100000", "must be 1 to 100000 agents")
	}
	r.ID, r.State, r.By, r.CreatedAt = rand.Text(), fleet.RolloutRunning, p.Name, c.now()
	seen := map[string]bool{}
	for n, id := range agents {
		field := fmt.Sprintf("agents[%d]", n)
		if seen[id] {
			return r, invalid(field, wire.CodeDuplicate, "", "is named twice")
		}
		seen[id] = true
		a, err := c.store.Agent(ctx, id)
		if errors.Is(err, fleet.ErrNotFound) {
			return r, invalid(field, wire.CodeUnknown, "", "there is no such agent")
		}
		if err == nil {
			err = fits(a)
		}
		if err != nil {
			return r, err
		}
		r.Agents = append(r.Agents, fleet.RolloutAgent{Agent: id, State: agentWaiting})
	}
	what := string(r.Change)
	if r.Release != "" {
		what = "version " + r.Release
	}
	if err := c.note(ctx, p, "rollout.start", r.ID, fmt.Sprintf("%d agents: %s", len(agents), what)); err != nil {
		return r, err
	}
	return r, c.store.AddRollout(ctx, r)
}

// merged gives an agent's settings before and after a change.
func (c *Control) merged(ctx context.Context, a fleet.Agent, change json.RawMessage) (before, after wire.Settings, err error) {
	if before, err = c.newest(ctx, a.ID); err != nil {
		return before, after, err
	}
	data, err := json.Marshal(before)
	if err != nil {
		return before, after, err
	}
	var whole, patch any
	if err := errors.Join(json.Unmarshal(data, &whole), json.Unmarshal(change, &patch)); err != nil {
		return before, after, err
	}
	if data, err = json.Marshal(merge(whole, patch)); err != nil {
		return before, after, err
	}
	if after, err = wire.ParseSettings(data); err != nil {
		return before, after, err
	}
	return before, after, c.allowed(ctx, a.Venue, after)
}

// merge is RFC 7396.
func merge(whole, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out, ok := whole.(map[string]any)
	if !ok {
		out = map[string]any{}
	}
	out = maps.Clone(out)
	for key, value := range changes {
		if value == nil {
			delete(out, key)
		} else {
			out[key] = merge(out[key], value)
		}
	}
	return out
}

// Rollouts are all of them, newest first; Rollout is one.
func (c *Control) Rollouts(ctx context.Context) ([]fleet.Rollout, error) {
	list, err := c.store.Rollouts(ctx)
	slices.SortStableFunc(list, func(a, b fleet.Rollout) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return list, err
}

// Rollout is one.
func (c *Control) Rollout(ctx context.Context, id string) (fleet.Rollout, error) {
	return c.store.Rollout(ctx, id)
}

// SteerRollout pauses, resumes or stops one: what was sent stays so. A paused one
// that is resumed allows as many failures again as it had.
func (c *Control) SteerRollout(ctx context.Context, p Person, id string, to fleet.RolloutState) (r fleet.Rollout, err error) {
	if err := p.needs(fleet.Operator); err != nil {
		return r, err
	}
	if r, err = c.store.Rollout(ctx, id); err != nil {
		return r, err
	}
	may := map[fleet.RolloutState][]fleet.RolloutState{
		fleet.RolloutRunning: {fleet.RolloutPaused, fleet.RolloutStopped},
		fleet.RolloutPaused:  {fleet.RolloutRunning, fleet.RolloutStopped},
	}
	if !slices.Contains(may[r.State], to) {
		return r, invalid("state", wire.CodeConflict, "", fmt.Sprintf("is %s, and cannot become %s", r.State, to))
	}
	if err := c.note(ctx, p, "rollout."+string(to), id, ""); err != nil {
		return r, err
	}
	if to == fleet.RolloutRunning {
		r.MaxFailed += failed(r)
	}
	r.State, r.Reason = to, ""
	return r, c.store.SaveRollout(ctx, r)
}

func failed(r fleet.Rollout) (n int) {
	for _, a := range r.Agents {
		if a.State == wire.StateRefused || a.State == wire.StateReverted {
			n++
		}
	}
	return n
}

// Roll takes running rollouts on, until ctx ends. It belongs to the process that
// leads.
func (c *Control) Roll(ctx context.Context, every time.Duration, report func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := c.rollOnce(ctx); err != nil && ctx.Err() == nil {
			report(fmt.Errorf("take the rollouts on: %w", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Control) rollOnce(ctx context.Context) error {
	list, err := c.store.Rollouts(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range list {
		if r.State == fleet.RolloutRunning {
			errs = append(errs, c.roll(ctx, r))
		}
	}
	return errors.Join(errs...)
}

// roll takes one a step on: it reads what became of what was sent, and sends as
// much more as may be on its way.
func (c *Control) roll(ctx context.Context, r fleet.Rollout) error {
	before := slices.Clone(r.Agents)
	pending := 0
	for n := range r.Agents {
		x := &r.Agents[n]
		if x.State != fleet.StatePending {
			continue
		}
		a, err := c.store.Agent(ctx, x.Agent)
		if err != nil {
			return err
		}
		if r.Release != "" {
			if err := c.learn(ctx, r, a, x); err != nil {
				return err
			}
			if x.State == fleet.StatePending {
				pending++
			}
			continue
		}
		switch {
		case a.Desired > x.Rev && a.Reported.Judged < x.Rev: // somebody was faster than the agent
			x.State, x.Reason = agentSkipped, "changed again meanwhile"
		case a.Reported.Judged >= x.Rev:
			x.State, x.Reason = a.Reported.State, a.Reported.Reason
		default:
			pending++
		}
	}
	if n := failed(r); n > r.MaxFailed {
		r.State, r.Reason = fleet.RolloutPaused, fmt.Sprintf("%d agents have refused or reverted it", n)
		return c.store.SaveRollout(ctx, r)
	}
	left := 0
	for n := range r.Agents {
		x := &r.Agents[n]
		if x.State != agentWaiting {
			continue
		}
		if pending >= r.AtOnce {
			left++
			continue
		}
		if err := c.rollAt(ctx, r, x); err != nil {
			return errors.Join(err, c.store.SaveRollout(ctx, r))
		}
		if x.State == fleet.StatePending {
			pending++
		}
	}
	if pending == 0 && left == 0 {
		r.State = fleet.RolloutDone
	}
	if r.State == fleet.RolloutRunning && slices.Equal(before, r.Agents) {
		return nil
	}
	return c.stillRunning(ctx, r)
}

// stillRunning saves a step, unless a person has paused or stopped it meanwhile:
// their word stays, and so does what was sent.
func (c *Control) stillRunning(ctx context.Context, r fleet.Rollout) error {
	now, err := c.store.Rollout(ctx, r.ID)
	if err != nil {
		return err
	}
	if now.State != fleet.RolloutRunning {
		r.State, r.Reason = now.State, now.Reason
	}
	return c.store.SaveRollout(ctx, r)
}

// rollAt sends the change to one agent.
func (c *Control) rollAt(ctx context.Context, r fleet.Rollout, x *fleet.RolloutAgent) error {
	a, err := c.store.Agent(ctx, x.Agent)
	if err != nil {
		return err
	}
	if r.Release != "" {
		return c.order(ctx, r, a, x)
	}
	before, after, err := c.merged(ctx, a, r.Change)
	var refused *wire.SettingsError
	switch {
	case errors.As(err, &refused):
		x.State, x.Reason = agentSkipped, refused.Error()
		return nil
	case err != nil:
		return err
	case a.Desired > 0 && after.Equal(before):
		x.State, x.Reason = agentSkipped, "has these settings already"
		return nil
	}
	v, err := c.put(ctx, Person{Name: "rollout " + r.ID}, x.Agent, a.Desired, before, after)
	if errors.Is(err, fleet.ErrStale) { // a person was faster; its turn comes again
		return nil
	}
	if err != nil {
		return err
	}
	x.State, x.Rev = fleet.StatePending, v.Rev
	return nil
}

// Group gives the agents of a filter that can take part in a rollout: enrolled
// and not revoked.
func (c *Control) Group(ctx context.Context, f store.Filter) (ids []string, err error) {
	list, err := c.store.Agents(ctx, f)
	for _, a := range list {
		if !a.EnrolledAt.IsZero() && !a.Revoked {
			ids = append(ids, a.ID)
		}
	}
	return ids, err
}
