// Package storetest has a PostgreSQL of a test's own.
package storetest

import (
	"context"
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
	tb   testing.TB
	bin  string
	dir  string
	who  *syscall.SysProcAttr
	last atomic.Int64
}

// MustPostgres starts one. It syncs as a real one does. A missing PostgreSQL
// fails the test.
func MustPostgres(tb testing.TB) *Cluster {
	tb.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(bins) == 0 {
		tb.Fatal("start PostgreSQL: found none in /usr/lib/postgresql; apt-get install postgresql")
	}
	dir, err := os.MkdirTemp("/tmp", "pg") // short: a socket's path has at most 107 bytes
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &Cluster{tb: tb, bin: filepath.Dir(bins[len(bins)-1]), dir: dir}
	if os.Getuid() == 0 { // it does not run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			tb.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			tb.Fatal(err)
		}
		c.who = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	c.run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata="+c.data())
	c.Start()
	tb.Cleanup(c.Kill)
	return c
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) run(program string, args ...string) {
	c.tb.Helper()
	cmd := exec.Command(filepath.Join(c.bin, program), args...)
	cmd.SysProcAttr = c.who
	cmd.Dir = c.dir
	out, err := os.CreateTemp(c.dir, "out") // not a pipe: the server would keep it open
	if err != nil {
		c.tb.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		c.tb.Fatalf("%s: %v: %s", program, err, text)
	}
}

// Start starts the server after Kill.
func (c *Cluster) Start() {
	c.tb.Helper()
	c.run("pg_ctl", "start", "--wait", "--silent", "--pgdata="+c.data(), "--options=-c listen_addresses='' -c unix_socket_directories="+c.dir)
}

// Kill stops the server at once, as a crash would: it recovers at its next start.
func (c *Cluster) Kill() {
	c.tb.Helper()
	c.run("pg_ctl", "stop", "--wait", "--mode=immediate", "--silent", "--pgdata="+c.data())
}

// Database makes an empty database and gives its URL.
func (c *Cluster) Database() string {
	c.tb.Helper()
	name := fmt.Sprintf("ekassa%d", c.last.Add(1))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		c.tb.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		c.tb.Fatal(err)
	}
	return c.url(name)
}

func (c *Cluster) url(name string) string { return "postgres://postgres@/" + name + "?host=" + c.dir }
