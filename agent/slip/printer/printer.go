package printer

import (
	"bufio"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"ekassa/agent/listen"
)

// State is what a printer may suffer from.
type State struct {
	NoPaper   bool
	CoverOpen bool
	Mute      bool // does not answer questions, as many do
	Rude      bool // hangs up in the middle of what it is sent

	Late time.Duration // before it answers a question
}

// Config of a printer.
type Config struct {
	Listen string // IP:port
	Dir    string // each paper is written there as a PNG; empty: not
	// Printed is told of each paper, and its file where there is one; nil: nobody.
	Printed func(n int, file string)
}

// Printer is one that listens.
type Printer struct {
	c        Config
	listener net.Listener
	all      sync.WaitGroup

	mu     sync.Mutex
	state  State
	papers []Paper
	conns  map[net.Conn]bool
	closed bool
	faults []error
}

// Start makes a printer that listens until it is closed.
func Start(c Config) (*Printer, error) {
	l, err := listen.TCP(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("start the printer on %s: %w", c.Listen, errors.Unwrap(err))
	}
	p := &Printer{c: c, listener: l, conns: map[net.Conn]bool{}}
	p.all.Go(p.serve)
	return p, nil
}

// Addr is where it listens.
func (p *Printer) Addr() string { return p.listener.Addr().String() }

// Set changes what it suffers from.
func (p *Printer) Set(s State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
}

// Papers are those that it has cut, oldest first.
func (p *Printer) Papers() []Paper {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.papers)
}

// Close ends it, with the first thing that it did not understand.
func (p *Printer) Close() error {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	err := p.listener.Close()
	p.all.Wait()
	return errors.Join(append(p.faults, err)...)
}

func (p *Printer) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.mu.Lock()
		if p.closed {
			conn.Close()
		} else {
			p.conns[conn] = true
			p.all.Go(func() { p.print(conn) })
		}
		p.mu.Unlock()
	}
}

func (p *Printer) print(conn net.Conn) {
	var in io.Reader = conn
	p.mu.Lock()
	if p.state.Rude {
		in = io.LimitReader(conn, 1000)
	}
	p.mu.Unlock()
	d := decoder{in: bufio.NewReader(in), cut: p.keep, answer: func(question byte) {
		if b, late, ok := p.status(question); ok {
			time.Sleep(late)
			_, _ = conn.Write([]byte{b}) // who hung up asks no more
		}
	}}
	err := d.run()
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	if err != nil && !p.closed && !p.state.Rude {
		p.faults = append(p.faults, err)
	}
}

// status is the answer to DLE EOT n, and how long it takes.
func (p *Printer) status(question byte) (answer byte, late time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer = 0x12 // two bits are always set
	switch {
	case p.state.Mute || question < 1 || question > 4:
		return 0, 0, false
	case question == 4 && p.state.NoPaper:
		answer |= 0x60
	case question == 2 && p.state.NoPaper:
		answer |= 0x20
	case question == 2 && p.state.CoverOpen:
		answer |= 0x04
	}
	return answer, p.state.Late, true
}

func (p *Printer) keep(paper Paper) {
	p.mu.Lock()
	p.papers = append(p.papers, paper)
	n := len(p.papers)
	p.mu.Unlock()
	file := ""
	if p.c.Dir != "" {
		file = filepath.Join(p.c.Dir, fmt.Sprintf("paper-%03d.png", n))
		if err := save(file, paper); err != nil {
			p.mu.Lock()
			p.faults = append(p.faults, err)
			p.mu.Unlock()
			return
		}
	}
	if p.c.Printed != nil {
		p.c.Printed(n, file)
	}
}

func save(file string, paper Paper) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("keep a paper: %w", err)
	}
	return errors.Join(png.Encode(f, paper.Image), f.Close())
}
