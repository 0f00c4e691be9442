package agent

import (
	"context"
	"net"
	"sync"

	"ekassa/agent/config"
	"ekassa/agent/setup"
	"ekassa/agent/till"
)

// firstStart is the page on which a new agent is set up.
type firstStart struct {
	*setup.Door
	restart chan struct{}
}

// firstStarting gives it where the agent has nothing to serve yet, and tells the
// log the code that opens it; else nil.
func firstStarting(cfg config.Config, shop *shop, listener net.Listener, o Options) (*firstStart, error) {
	pending := func() bool {
		s := shop.Settings()
		return cfg.Cloud == nil && len(s.Registers)+len(s.Terminals) == 0 && !config.Kept(cfg.DataDir)
	}
	if !pending() {
		if err := setup.CodesIn(cfg.DataDir).Void(); err != nil { // of a first start that was ended otherwise
			o.Log.Warn("an old code of the first start, which opens nothing any more, is left", "error", err)
		}
		return nil, nil //nolint:nilnil // nothing to set up is no error
	}
	f := &firstStart{restart: make(chan struct{})}
	base := setup.Base(listener.Addr().String())
	tools := SetupTools(cfg)
	tools.Train = o.Train
	var code string
	var err error
	f.Door, code, err = setup.NewDoor(setup.DoorConfig{
		Dir: cfg.DataDir, Base: base, Tools: tools, Pending: pending, Local: till.Local,
		Apply: shop.reload, Restart: sync.OnceFunc(func() { close(f.restart) }), Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	o.Log.Info("this agent is to be set up: open its page and type the code", "page", base, "code", code, "valid", setup.CodeAge)
	return f, nil
}

// run waits until the agent has to begin anew. Error: ErrRestart.
func (f *firstStart) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-f.restart:
		return ErrRestart
	}
}
