package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"ekassa/cloud/wire"
)

// How patient an agent is: as the real one (agent/uplink, DefaultPace).
const (
	first  = time.Second
	retry  = time.Second
	ceil   = 5 * time.Minute
	answer = 10 * time.Second
	alive  = 30 * time.Second
	window = 20 // records told and not acknowledged
)

// pi is an agent in software that speaks MQTT by hand: no more than a goroutine
// and its connection, so that ten thousand of them leave the machine to the cloud.
type pi struct {
	id    string
	own   tls.Certificate
	chain *chain

	session int64
	rev     int64 // of the settings that it has
	seq     int64 // of the last record told on this connection
	acked   atomic.Int64
	poke    atomic.Pointer[func()] // has a connected one look whether it should tell something

	mu  sync.Mutex // one writes at a time
	out net.Conn
}

// live connects again and again until ctx ends.
func (p *pi) live(ctx context.Context) {
	wait := first
	for failures := 0; ; failures++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(rand.N(wait)):
		}
		was := p.session
		err := p.connection(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && p.session == was {
			p.chain.refused.Add(1)
		} else {
			failures = 0
		}
		wait = min(ceil, retry<<min(failures, 20))
	}
}

func (p *pi) connection(ctx context.Context) error {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: answer}, Config: &tls.Config{
		RootCAs: p.chain.own.Pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{p.own}, MinVersion: tls.VersionTLS12,
	}}
	free := sync.OnceFunc(func() { <-p.chain.processors })
	p.chain.processors <- struct{}{}
	defer free()
	shake, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	conn, err := d.DialContext(shake, "tcp", *p.chain.broker.Load())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	p.mu.Lock()
	p.out, p.seq = conn, p.acked.Load() // what was told before is told again
	p.mu.Unlock()
	in := bufio.NewReaderSize(conn, 1024)
	if err := p.greet(conn, in); err != nil {
		return err
	}
	free()
	p.session++
	p.chain.connected.Add(1)
	defer p.chain.connected.Add(-1)
	poke := func() {
		if err := p.tell(); err != nil {
			_ = conn.Close() // the reader finds out
		}
	}
	p.poke.Store(&poke)
	defer p.poke.Store(nil)
	return p.listen(conn, in)
}

// greet is all until the agent is there: its will, its subscriptions, who it is
// and which settings it has.
func (p *pi) greet(conn net.Conn, in *bufio.Reader) error {
	presence := wire.Presence{Session: p.session + 1, Version: p.chain.version(), Epoch: 1, Rev: p.rev}
	will, err := json.Marshal(presence)
	if err != nil {
		return err
	}
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.CleanSession, c.Keepalive = "MQTT", 4, true, uint16(alive.Seconds())
	c.ClientIdentifier, c.UsernameFlag, c.Username = p.id, true, p.id
	c.WillFlag, c.WillQos, c.WillRetain, c.WillTopic, c.WillMessage = true, 1, true, wire.Topic(p.id, wire.TopicPresence), will
	s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	s.MessageID = 1
	for _, last := range []string{wire.TopicDesired, wire.TopicAck, wire.TopicCommand} {
		s.Topics, s.Qoss = append(s.Topics, wire.Topic(p.id, last)), append(s.Qoss, 1)
	}
	if err := conn.SetReadDeadline(time.Now().Add(answer)); err != nil {
		return err
	}
	if err := p.send(c); err != nil {
		return err
	}
	got, err := packets.ReadPacket(in)
	if err != nil {
		return err
	}
	if a, ok := got.(*packets.ConnackPacket); !ok || a.ReturnCode != packets.Accepted {
		return fmt.Errorf("not let in: %v", got)
	}
	if err := p.send(s); err != nil {
		return err
	}
	presence.Online = true
	if err := p.publish(wire.TopicPresence, true, presence); err != nil {
		return err
	}
	return p.publish(wire.TopicReported, false, wire.Reported{Rev: p.rev, Judged: p.rev, State: wire.StateApplied})
}

// listen does what the cloud says.
func (p *pi) listen(conn net.Conn, in *bufio.Reader) error {
	if err := p.tell(); err != nil {
		return err
	}
	for {
		if err := conn.SetReadDeadline(time.Now().Add(alive * 2 / 3)); err != nil {
			return err
		}
		if _, err := in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
			if err := p.again(); err != nil {
				return err
			}
			continue
		} else if err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(answer)); err != nil {
			return err
		}
		got, err := packets.ReadPacket(in)
		if err != nil {
			return err
		}
		m, ok := got.(*packets.PublishPacket)
		if !ok {
			continue
		}
		if m.Qos > 0 {
			a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			a.MessageID = m.MessageID
			if err := p.send(a); err != nil {
				return err
			}
		}
		if err := p.obey(m); err != nil {
			return err
		}
	}
}

// again is a sign of life, and tells again what was not acknowledged for so long.
func (p *pi) again() error {
	if err := p.send(packets.NewControlPacket(packets.Pingreq)); err != nil {
		return err
	}
	p.mu.Lock()
	p.seq = p.acked.Load()
	p.mu.Unlock()
	return p.tell()
}

func (p *pi) obey(m *packets.PublishPacket) error {
	switch _, last, _ := wire.ParseTopic(m.TopicName); last {
	case wire.TopicDesired:
		var d wire.Desired
		if err := json.Unmarshal(m.Payload, &d); err != nil {
			return err
		}
		if d.Rev <= p.rev {
			return nil
		}
		if _, err := wire.ParseSettings(d.Settings); err != nil { // as the real one judges them
			return err
		}
		p.rev = d.Rev
		p.chain.judged.Add(1)
		return p.publish(wire.TopicReported, false, wire.Reported{Rev: d.Rev, Judged: d.Rev, State: wire.StateApplied})
	case wire.TopicAck:
		var a wire.Ack
		if err := json.Unmarshal(m.Payload, &a); err != nil {
			return err
		}
		if more := a.UpTo - p.acked.Load(); a.Epoch == 1 && more > 0 {
			p.acked.Add(more)
			p.chain.acked.Add(more)
		}
		return p.tell()
	}
	return nil
}

// tell tells what the window has room for.
func (p *pi) tell() error {
	if !p.chain.telling.Load() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var all bytes.Buffer
	for acked := p.acked.Load(); p.seq < acked+window; {
		p.seq++
		data, err := json.Marshal(record(p.id, p.seq))
		if err != nil {
			return err
		}
		if err := publication(p.id, wire.TopicReport, false, data).Write(&all); err != nil {
			return err
		}
	}
	_, err := p.out.Write(all.Bytes())
	return err
}

func (p *pi) publish(last string, retained bool, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return p.send(publication(p.id, last, retained, data))
}

func publication(id, last string, retained bool, data []byte) *packets.PublishPacket {
	m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	m.Qos, m.Retain, m.MessageID, m.TopicName, m.Payload = 1, retained, uint16(1+rand.N(60_000)), wire.Topic(id, last), data
	return m
}

// send writes a packet in one piece.
func (p *pi) send(packet packets.ControlPacket) error {
	var whole bytes.Buffer
	if err := packet.Write(&whole); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.out.Write(whole.Bytes())
	return err
}

var began = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// content is the receipt of an ordinary table.
const content = `{"id":"till1-000123","kind":"sale","time":"2026-11-23T19:05:12+04:00","cashier":"Aysel M.","number":"123","items":[{"name":"Plov","code":"1001","unit":"piece","quantity":"1.5","price":"8.00","discount":"0.00","tax":"vat18"},{"name":"Ayran","code":"1002","unit":"piece","quantity":"2","price":"2.00","discount":"0.00","tax":"vat18"}],"payments":{"cash":"20.00","card":"4.50"}}`

// record is a receipt with its content, and in the next record what became of it.
func record(agent string, seq int64) wire.Record {
	n := (seq + 1) / 2
	r := wire.Receipt{Terminal: "till-1", ID: fmt.Sprintf("till1-%06d", n), Register: "kassa-1", Kind: "sale", Total: "24.50", State: "waiting", ReceivedAt: began}
	if seq%2 == 1 {
		r.Content = json.RawMessage(content)
	} else {
		r.State, r.Attempts = "fiscal", 1
		r.Document = &wire.Document{FiscalID: fmt.Sprintf("FiscalDocument%08d", n), ShortID: "Short1234567", Number: fmt.Sprint(n), Serial: "AZ0123456789",
			Shift: "1", URL: "https://monitoring.example/#/index?doc=Short1234567", Printed: true, At: began}
	}
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // it is the constant shape above
	}
	return wire.Record{V: 1, Agent: agent, Epoch: 1, Seq: seq, Type: wire.RecordReceipt, Time: began, Data: data}
}
