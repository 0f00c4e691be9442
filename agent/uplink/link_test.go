package uplink

import (
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ekassa/cloud/wire"
)

// A shop may be without a network for months, and tries all the time.
func TestDial_AFailureLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { // takes it all, and says nothing
				defer c.Close()
				b := make([]byte, 4096)
				for _, err := c.Read(b); err == nil; _, err = c.Read(b) {
				}
			})
		}
	})
	for _, addr := range []string{silent.Addr().String(), newAddr(), "127.0.0.1:1"} {
		u := New(Config{Agent: agentID, Broker: "mqtt://" + addr, Pace: Pace{Answer: 200 * time.Millisecond, Alive: time.Second}})
		for range 3 {
			if l, err := u.dial(t.Context(), wire.Presence{}); err == nil {
				l.close()
				t.Errorf("connected to %s", addr)
			}
		}
	}
	silent.Close()
	conns.Wait()
	until(t, "nothing is left behind", func() bool { return goleak.Find(before) == nil })
}

func TestDial_AConnectionLeavesNothingBehind(t *testing.T) {
	addr := newAddr()
	b := &mochiBroker{}
	b.start(t, addr)
	before := goleak.IgnoreCurrent()
	u := New(Config{Agent: agentID, Broker: "mqtt://" + addr, Pace: quick})
	for n := range 4 {
		l, err := u.dial(t.Context(), wire.Presence{})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.subscribe(t.Context(), agentID, wire.TopicAck); err != nil {
			t.Error(err)
		}
		if n%2 == 0 { // half of them are lost
			for _, c := range b.server.Clients.GetAll() {
				c.Stop(net.ErrClosed)
			}
			<-l.lost
		}
		l.publish(wire.Topic(agentID, wire.TopicReport), false, []byte("x"))
		l.close()
	}
	until(t, "the broker has let them go", func() bool { return goleak.Find(before) == nil })
	b.kill(t)
}
