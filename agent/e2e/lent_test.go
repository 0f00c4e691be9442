package e2e

import (
	"errors"
	"net"
	"net/http"
	"os"
	"testing"

	"ekassa/agent/register/simulator"
	"ekassa/agent/till/tilltest"
)

// A socket that the program was started with is the till's API like the agent's own
// address, behind the same guard, in each run of the same process; and where listen
// has its very port it is that address.
func TestLent_IsServedLikeTheOwnAddressInEachRun(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	l, err := net.Listen("tcp", newHost()+":0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o := fast
	o.Sockets = []*os.File{f}
	for _, id := range []string{"lent-1", "lent-2"} {
		stop := s.serve(o)
		c := tilltest.New(s, "http://"+l.Addr().String(), s.token)
		c.Post("/v1/receipts", sale(id), wait).Want(http.StatusCreated)
		stranger := c.Request(http.MethodGet, "/v1/status", "")
		stranger.Host = "evil.example"
		c.Do(stranger).Want(http.StatusForbidden)
		tilltest.New(s, "http://"+l.Addr().String(), "").Get("/v1/status").Want(http.StatusUnauthorized)
		s.till().Get("/v1/status").Want(http.StatusOK)
		stop()
	}
	s.listen = l.Addr().String()
	s.config["listen"] = s.listen
	s.write()
	s.serve(o)
	s.till().Post("/v1/receipts", sale("lent-3"), wait).Want(http.StatusCreated)
}
