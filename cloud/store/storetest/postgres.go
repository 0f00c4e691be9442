// Package storetest has a PostgreSQL of a test's own.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a PostgreSQL server that runs until the test ends. It listens on a
// socket in a folder of its own.
type Cluster struct {
	*Server
	tb testing.TB
}

// MustPostgres starts one. A missing PostgreSQL fails the test.
func MustPostgres(tb testing.TB) *Cluster {
	tb.Helper()
	s, err := Open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return &Cluster{s, tb}
}

// Start starts the server after Kill.
func (c *Cluster) Start() {
	c.tb.Helper()
	c.must(c.Server.Start())
}

// Kill stops the server at once, as a crash would: it recovers at its next start.
func (c *Cluster) Kill() {
	c.tb.Helper()
	c.must(c.Server.Kill())
}

// Database makes an empty database and gives its URL.
func (c *Cluster) Database() string {
	c.tb.Helper()
	url, err := c.Server.Database()
	c.must(err)
	return url
}

func (c *Cluster) must(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatal(err)
	}
}

// Server is the same for a program that is no test. It syncs as a real one does.
type Server struct {
	bin  string
	dir  string
	who  *syscall.SysProcAttr
	last atomic.Int64
}

// Open starts one, which runs until Close.
func Open() (_ *Server, err error) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(bins) == 0 {
		return nil, errors.New("start PostgreSQL: found none in /usr/lib/postgresql; apt-get install postgresql")
	}
	dir, err := os.MkdirTemp("/tmp", "pg") // short: a socket's path has at most 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{bin: filepath.Dir(bins[len(bins)-1]), dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if os.Getuid() == 0 { // it does not run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
		s.who = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	if err := s.run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata="+s.data()); err != nil {
		return nil, err
	}
	return s, s.Start()
}

// Close ends it, and removes all that it has.
func (s *Server) Close() error {
	err := s.Kill()
	if err != nil && !s.running() { // it was killed already
		err = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *Server) running() bool {
	_, err := os.Stat(filepath.Join(s.data(), "postmaster.pid"))
	return err == nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.SysProcAttr = s.who
	cmd.Dir = s.dir
	out, err := os.CreateTemp(s.dir, "out") // not a pipe: the server would keep it open
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w: %s", program, err, text)
	}
	return nil
}

// Start starts the server after Kill.
func (s *Server) Start() error {
	return s.run("pg_ctl", "start", "--wait", "--silent", "--pgdata="+s.data(), "--options=-c listen_addresses='' -c unix_socket_directories="+s.dir)
}

// Kill stops the server at once, as a crash would: it recovers at its next start.
func (s *Server) Kill() error {
	return s.run("pg_ctl", "stop", "--wait", "--mode=immediate", "--silent", "--pgdata="+s.data())
}

// Database makes an empty database and gives its URL.
func (s *Server) Database() (string, error) {
	name := fmt.Sprintf("ekassa%d", s.last.Add(1))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return s.url(name), nil
}

func (s *Server) url(name string) string { return "postgres://postgres@/" + name + "?host=" + s.dir }
