package uplink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"ekassa/cloud/wire"
)

// orders does the cloud's commands, each at most once: the journal remembers
// what was begun, and what it came to.
type orders struct {
	u       *Uplink
	results chan []byte // to be published by whichever connection there is

	mu      sync.Mutex // guards running
	running map[string]struct{}
	all     sync.WaitGroup
}

const (
	// maxOrders are done at once; of more than that the cloud reminds us.
	maxOrders = 8
	// longestOrder bounds a command's life, whatever the cloud says.
	longestOrder = 24 * time.Hour
)

var (
	orderForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)
	known     = []string{
		wire.CommandCheck, wire.CommandXReport, wire.CommandOpenShift, wire.CommandCloseShift, wire.CommandReprint,
		wire.CommandRediscover, wire.CommandSendLogs, wire.CommandRestart,
		wire.CommandUpdate,
	}
)

// take begins what a command asks, where it is not under way.
func (o *orders) take(ctx context.Context, c wire.Command) {
	if !orderForm.MatchString(c.ID) {
		o.u.Log.Warn("a command of the cloud has no id that can be used")
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, on := o.running[c.ID]; on || len(o.running) == maxOrders {
		return
	}
	o.running[c.ID] = struct{}{}
	o.all.Add(1)
	go func() {
		defer o.all.Done()
		restart := o.do(ctx, c)
		o.mu.Lock()
		delete(o.running, c.ID)
		o.mu.Unlock()
		if restart {
			o.u.Restart()
		}
	}()
}

func (o *orders) wait() { o.all.Wait() }

// do brings a command to its answer.
func (o *orders) do(ctx context.Context, c wire.Command) (restart bool) {
	j, log := o.u.Journal, o.u.Log.With("command", c.Name, "id", c.ID)
	was, err := j.Arrived(c.ID, c.Name)
	if err != nil {
		log.Error("a command could not be noted; the cloud repeats it", "error", err)
		return false
	}
	if was.Answer != nil {
		o.publish(was.Answer)
		return false
	}
	ends := was.ArrivedAt.Add(min(longestOrder, time.Duration(c.TTLSeconds)*time.Second))
	switch {
	case was.Begun:
		o.answer(c, nil, errors.New("the agent was stopped while it did this; what became of it is not known: look, before you order it again"))
		return false
	case !slices.Contains(known, c.Name):
		o.answer(c, nil, fmt.Errorf("there is no command %q in version %s", clip(c.Name), o.u.Version))
		return false
	case !time.Now().Before(ends):
		o.answer(c, nil, errors.New("it had expired before it could be done"))
		return false
	}
	if err := j.BeginCommand(c.ID); err != nil {
		log.Error("a command could not be begun; the cloud repeats it", "error", err)
		return false
	}
	log.Info("the cloud orders")
	if c.Name == wire.CommandRestart { // answered first: there is no afterwards
		return o.answer(c, nil, nil) == nil
	}
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	result, err := o.u.Do(ctx, c)
	_ = o.answer(c, result, err) // logged
	return false
}

// answer keeps an answer and publishes it. Where it cannot be kept it is not
// told either: the next time the command is found begun.
func (o *orders) answer(c wire.Command, result any, failed error) error {
	r := wire.Result{ID: c.ID, OK: failed == nil}
	var err error
	if failed != nil {
		r.Error = clip(failed.Error())
		o.u.Log.Info("a command failed", "command", c.Name, "id", c.ID, "error", failed)
	} else if result != nil {
		r.Result, err = json.Marshal(result)
	}
	var data []byte
	if err == nil {
		data, err = json.Marshal(r)
	}
	if err == nil && len(data) > wire.MaxMessage {
		data, err = json.Marshal(wire.Result{ID: c.ID, OK: r.OK, Error: fmt.Sprintf("the result has %d bytes, which is too much to send", len(data))})
	}
	if err == nil {
		err = o.u.Journal.Answered(c.ID, data)
	}
	if err != nil {
		o.u.Log.Error("the answer to a command could not be kept", "command", c.Name, "id", c.ID, "error", err)
		return err
	}
	o.publish(data)
	return nil
}

// publish leaves it to the connection; where there is none that takes it, the
// command comes again and is answered then.
func (o *orders) publish(answer []byte) {
	select {
	case o.results <- answer:
	default:
	}
}

func clip(s string) string {
	const most = 1000
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
