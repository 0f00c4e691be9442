package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ekassa/cloud/authority"
	"ekassa/cloud/broker/brokertest"
	"ekassa/cloud/config"
	"ekassa/cloud/store"
	"ekassa/cloud/store/storetest"
)

// balance connects whoever comes with the next node that
// there is, as what stands in front of a cluster does.
func balance(l net.Listener, nodes ...string) {
	go func() {
		for n := 0; ; n++ {
			in, err := l.Accept()
			if err != nil {
				return // closed
			}
			go pass(in, append(nodes[n%len(nodes):len(nodes):len(nodes)], nodes[:n%len(nodes)]...))
		}
	}()
}

func pass(in net.Conn, nodes []string) {
	defer in.Close()
	for _, node := range nodes {
		out, err := net.DialTimeout("tcp", node, time.Second)
		if err != nil {
			continue
		}
		defer out.Close()
		done := make(chan struct{}, 2)
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = io.Copy(way[0], way[1]) // until either is lost
				done <- struct{}{}
			}()
		}
		<-done
		return
	}
}

// Three nodes of RabbitMQ and two processes of the cloud over one PostgreSQL are
// killed in turn while agents tell.
func TestClouds_AndNodesOfTheirBrokerMayDie(t *testing.T) {
	t.Parallel()
	cluster := storetest.MustPostgres(t)
	database := cluster.Database()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Close() })
	setup := newProcess(t, fmt.Sprintf("database: %q", database))
	setup.addUser()
	files := filepath.Join(t.TempDir(), "files")
	if _, err := setup.run("mosquitto", "--host", "127.0.0.1", "--dir", files, "--processes", "2"); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(setup.config())
	setup.must(err)
	s, err := store.Open(t.Context(), cfg.Database, cfg.DataDir, time.Now)
	setup.must(err)
	defer s.Close()
	own, err := authority.Open(t.Context(), s, time.Now, slog.New(slog.DiscardHandler))
	setup.must(err)
	const agents = 4
	names := []string{authority.CloudName(1), authority.CloudName(2)}
	for i := range agents {
		names = append(names, fmt.Sprintf("a%d", i))
	}
	rabbit, err := brokertest.StartRabbit(own, names...)
	setup.must(err)
	t.Cleanup(func() {
		if err := rabbit.Close(); err != nil {
			t.Error(err)
		}
	})
	balance(front, rabbit.Address(0), rabbit.Address(1), rabbit.Address(2))

	var clouds []*process
	for n := 1; n <= 2; n++ { // without shared subscriptions: RabbitMQ grants them, and delivers nothing
		p := newProcess(t, fmt.Sprintf("database: %q\nbroker: {url: \"mqtts://%s\", ca: %s/ca.pem, cert: %s/cloud-%d.pem, key: %s/cloud-%d.key}", database, front.Addr(), files, files, n, files, n))
		p.token = setup.token
		p.start()
		clouds = append(clouds, p)
	}
	clouds[0].call("POST", "/venues", map[string]string{"id": "v", "name": "v"}, nil)
	const n = 600
	var telling sync.WaitGroup
	var all []*pi
	for i := range agents {
		a := clouds[i%2].enrol("v", names[2+i])
		all = append(all, a)
		telling.Go(func() { a.tell(n, 20) })
	}
	for kill := range 2 {
		at := int64(n * (kill + 1) / 3)
		setup.until("so much is acknowledged", func() bool {
			for _, a := range all {
				if a.acked() < at {
					return false
				}
			}
			return true
		})
		rabbit.Kill(kill)
		clouds[kill].kill()
		clouds[kill].start()
		setup.must(rabbit.Restart(kill))
	}
	telling.Wait()
	for i, a := range all {
		clouds[0].kept(a.given.Agent, n)
		if got := all[i].acked(); got != n {
			t.Errorf("%s was acknowledged up to %d", a.given.Agent, got)
		}
	}
	for _, p := range clouds {
		p.stop()
	}
}
