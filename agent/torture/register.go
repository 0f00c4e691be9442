package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"ekassa/agent/register/simulator"
)

// kassa is a simulated register in a process of its own, with its ledger on the
// disk, and what is needed to put another one in its place.
type kassa struct {
	model                   Model
	program, listen, serial string
	state, stranger         string // ledgers: its own, and that of the other device
	log                     string
	orders                  []Order // of its till

	mu sync.Mutex // who kills it starts it again
	p  *process
}

// run starts the register; the caller holds mu or is alone.
func (k *kassa) run(state, serial string) (err error) {
	args := []string{k.program, k.model.Driver, "--listen", k.listen, "--serial", serial, "--state", state}
	k.p, err = start(k.log, append(args, k.model.flags()...)...)
	return err
}

// swapGap is longer than the agent takes between the question who is there and
// the document: nobody exchanges a device within that time.
const swapGap = 1200 * time.Millisecond

// restart is kill -9 and a new start.
func (k *kassa) restart() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.p.kill()
	return k.run(k.state, k.serial)
}

// swap puts another device at the address for a while.
func (k *kassa) swap(d time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.p.kill()
	time.Sleep(swapGap)
	if err := k.run(k.stranger, k.serial+"-OTHER"); err != nil {
		return err
	}
	time.Sleep(d)
	k.p.kill()
	time.Sleep(swapGap)
	return k.run(k.state, k.serial)
}

// closeShift has someone close the shift on the register, if it is open. Where
// shifts are told apart by whole seconds only, the paper keeps the register busy
// into the next one: no printer puts a shift's last document, its Z report and the
// next shift's opening into the same second.
func (k *kassa) closeShift(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var printing time.Duration
	if now := time.Now(); k.model.countsSeconds() {
		printing = now.Truncate(time.Second).Add(time.Second + 50*time.Millisecond).Sub(now)
	}
	err := k.control(ctx, http.MethodPost, "/sim/shift/close", map[string]int64{"printing_ms": printing.Milliseconds()}, nil)
	if errors.Is(err, errControl) { // it was closed
		return nil
	}
	time.Sleep(printing) // a kill would end it
	return err
}

// errControl: the simulator understood, and said no.
var errControl = errors.New("the simulator refused")

// control asks the simulator's control API, through outages, for as long as ctx lives.
func (k *kassa) control(ctx context.Context, method, path string, in, out any) error {
	var payload []byte
	if in != nil {
		var err error
		if payload, err = json.Marshal(in); err != nil {
			return err
		}
	}
	for {
		err := k.once(ctx, method, path, payload, out)
		if err == nil || errors.Is(err, errControl) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ask %s for %s: %w", k.serial, path, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (k *kassa) once(ctx context.Context, method, path string, payload []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+k.listen+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	r.Close = true // a register that was killed leaves no dead connection behind
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s: %s", errControl, response.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// ledger is all that the register has made.
func (k *kassa) ledger(ctx context.Context) (list []simulator.Document, err error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	err = k.control(ctx, http.MethodGet, "/sim/ledger", nil, &list)
	return sign(list, k.orders), err
}

// heal takes every fault away and loads paper.
func (k *kassa) heal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return errors.Join(k.control(ctx, http.MethodDelete, "/sim/faults", nil, nil), k.control(ctx, http.MethodPost, "/sim/paper-in", nil, nil))
}
