package listen_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"ekassa/agent/listen"
)

// A second descriptor of the socket is what a program holds between fork and exec.
func TestTCP_AddressIsFreeOnceClosed(t *testing.T) {
	for what, open := range map[string]func(string) (net.Listener, error){
		"ours":    listen.TCP,
		"control": func(address string) (net.Listener, error) { return net.Listen("tcp", address) },
	} {
		t.Run(what, func(t *testing.T) {
			l, err := open("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			held, err := l.(interface{ File() (*os.File, error) }).File()
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			ended := make(chan error)
			go func() {
				_, err := l.Accept()
				ended <- err
			}()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("accept ended with %v", err)
			}
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a second close: %v", err)
			}
			again, err := open(l.Addr().String())
			if free := err == nil; free != (what == "ours") {
				t.Fatalf("listening there again: %v", err)
			}
			if again != nil {
				again.Close()
			}
		})
	}
}

func TestTCP_ErrorIsTheKernels(t *testing.T) {
	l, err := listen.TCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = listen.TCP(l.Addr().String())
	if !errors.Is(err, syscall.EADDRINUSE) || !errors.Is(errors.Unwrap(err), syscall.EADDRINUSE) {
		t.Errorf("a second one: %v", err)
	}
}
