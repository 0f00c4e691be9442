package journal

import "sync"

// watches wakes whoever waits for something to change. A pulse says only that
// something did: the watcher then reads what, so that none is ever missed.
type watches struct {
	mu  sync.Mutex
	all map[*watch]struct{}
}

type watch struct {
	terminal, id, register string
	all                    bool
	pulse                  chan struct{}
}

func (w *watches) add(x *watch) (<-chan struct{}, func()) {
	x.pulse = make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[*watch]struct{}{}
	}
	w.all[x] = struct{}{}
	return x.pulse, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, x)
	}
}

// touched says what a commit changed. Without an id: any of the terminal's;
// without a terminal: a record that is about none.
type touched struct{ terminal, id, register string }

func (w *watches) publish(all []touched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.all {
		for _, t := range all {
			if x.wants(t) {
				select {
				case x.pulse <- struct{}{}:
				default: // one is pending already
				}
				break
			}
		}
	}
}

func (x *watch) wants(t touched) bool {
	if x.all {
		return true
	}
	if x.register != "" {
		return t.register == x.register
	}
	return t.terminal == x.terminal && (x.id == "" || t.id == "" || t.id == x.id)
}

// Watch gives a pulse after each commit that changed the receipt; with an empty
// id, any receipt of the terminal. stop ends it.
func (j *Journal) Watch(terminal, id string) (changed <-chan struct{}, stop func()) {
	return j.watches.add(&watch{terminal: terminal, id: id})
}

// WatchRegister gives a pulse after each commit that changed a receipt of the
// register's. stop ends it.
func (j *Journal) WatchRegister(register string) (changed <-chan struct{}, stop func()) {
	return j.watches.add(&watch{register: register})
}
