package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ekassa/cloud/store"
	"ekassa/cloud/store/storetest"
	"ekassa/cloud/wire"
)

// sent is what agents have sent so far.
type sent struct {
	sync.Mutex
	numbers map[string]map[int64]bool // by agent and epoch
}

func (s *sent) add(records []wire.Record) {
	s.Lock()
	defer s.Unlock()
	for _, r := range records {
		k := fmt.Sprint(r.Agent, r.Epoch)
		if s.numbers[k] == nil {
			s.numbers[k] = map[int64]bool{}
		}
		s.numbers[k][r.Seq] = true
	}
}

// believable fails where an ack tells of a record that nobody sent.
func (s *sent) believable(t *testing.T, a store.Stored) {
	s.Lock()
	defer s.Unlock()
	for n := int64(1); n <= a.UpTo; n++ {
		if !s.numbers[fmt.Sprint(a.Agent, a.Epoch)][n] {
			t.Errorf("%s epoch %d: acknowledged up to %d, and %d was never sent", a.Agent, a.Epoch, a.UpTo, n)
			return
		}
	}
}

// covers says whether acks tell that a record is stored.
func covers(acks []store.Stored, r wire.Record) bool {
	for _, a := range acks {
		if a.Agent != r.Agent || a.Epoch != r.Epoch {
			continue
		}
		for _, m := range a.Missing {
			if m.From <= r.Seq && r.Seq <= m.To {
				return false
			}
		}
		return r.Seq <= max(a.UpTo, a.Top)
	}
	return false
}

// Records of several agents and epochs come in any order, again and again, in
// part, over several workers, some of which are stopped in the middle. In the
// end each is stored once, and what was acknowledged meanwhile was so.
func testAnyOrder(t *testing.T, open func() store.Store) {
	const epochs, each, workers = 2, 60, 4
	agents := []string{"a1", "a2", "a3"}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	stores := []store.Store{}
	for range workers {
		stores = append(stores, open())
	}
	enrolled(t, stores[0], agents...)

	states := []string{"waiting", "sending", "checking", "fiscal"}
	var every []wire.Record
	for _, agent := range agents {
		for epoch := int64(1); epoch <= epochs; epoch++ {
			for seq := int64(1); seq <= each; seq++ { // four records a receipt
				n := (seq - 1) / 4
				every = append(every, receipt(agent, epoch, seq, fmt.Sprintf("e%d-%d", epoch, n), states[(seq-1)%4], seq%4 == 1))
			}
		}
	}
	told := &sent{numbers: map[string]map[int64]bool{}}
	batches := make(chan []wire.Record)
	var wg sync.WaitGroup
	var stopped atomic.Int64
	for w, s := range stores {
		random := rand.New(rand.NewPCG(seed, uint64(w+2)))
		wg.Go(func() {
			for b := range batches {
				ctx, cancel := context.WithCancel(context.Background())
				if random.IntN(3) == 0 { // stopped in the middle, or even before it began
					time.AfterFunc(rand.N(3*time.Millisecond), cancel)
				}
				told.add(b)
				acks, err := s.Ingest(ctx, b)
				cancel()
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					stopped.Add(1)
					continue
				}
				for _, a := range acks {
					told.believable(t, a)
				}
				for _, r := range b {
					if !covers(acks, r) {
						t.Errorf("record %d of %s is stored, and its ack does not say so: %+v", r.Seq, r.Agent, acks)
					}
				}
			}
		})
	}
	for n := 0; n < 120 || stopped.Load() == 0 && n < 12_000; n++ { // on a fast disk it takes longer until one is
		var b []wire.Record
		for range 1 + random.IntN(20) {
			b = append(b, every[random.IntN(len(every))])
		}
		batches <- b
	}
	close(batches)
	wg.Wait()
	if stopped.Load() == 0 {
		t.Error("none was stopped")
	}

	// As agents do, what is not acknowledged is sent until it is.
	s := stores[0]
	for _, agent := range agents {
		for epoch := int64(1); epoch <= epochs; epoch++ {
			for upTo := int64(0); upTo < each; {
				for _, a := range must(s.Acks(t.Context(), agent))(t) {
					if a.Epoch == epoch {
						upTo = a.UpTo
					}
				}
				for _, r := range every {
					if r.Agent == agent && r.Epoch == epoch && r.Seq > upTo {
						must(s.Ingest(t.Context(), []wire.Record{r}))(t)
						break
					}
				}
			}
		}
		found(t, must(s.Acks(t.Context(), agent))(t), fmt.Sprintf("[{1 %d [] 0} {2 %d [] 0}]", each, each))
		rs := must(s.Receipts(t.Context(), agent, store.Filter{Limit: 1000}))(t)
		found(t, len(rs), fmt.Sprint(epochs*each/4))
		for _, r := range rs {
			if r.State != "fiscal" || !strings.Contains(string(r.Content), strconv.Quote(r.ID)) {
				t.Errorf("found %+v", r)
			}
		}
	}
	found(t, must(s.Alerts(t.Context(), store.Filter{}))(t), "[]")
	deleted := must(s.Retain(t.Context(), store.Policy{Records: 1}, began.Add(time.Second)))(t)
	found(t, deleted["records"], fmt.Sprint(len(every))) // stored each once
}

// TestKilledWriter is also the process that is killed.
func TestKilledWriter(t *testing.T) {
	if dir := os.Getenv("EKASSA_STORE_TO_KILL"); dir != "" {
		s := must(store.Open(context.Background(), "sqlite", dir, clock))(t)
		n := must(s.Acks(context.Background(), "a1"))(t)
		from := int64(1)
		if len(n) > 0 {
			from = n[0].UpTo + 1
		}
		for ; ; from += 20 {
			fmt.Printf("acked %d\n", must(s.Ingest(context.Background(), run(from, 20)))(t)[0].UpTo)
		}
	}
	t.Parallel()
	dir := t.TempDir()
	s := must(store.Open(t.Context(), "sqlite", dir, clock))(t)
	enrolled(t, s, "a1")
	ok(t, s.Close())
	var acked int64
	for range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$")
		cmd.Env = append(os.Environ(), "EKASSA_STORE_TO_KILL="+dir)
		out := must(cmd.StdoutPipe())(t)
		ok(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for stop := rand.IntN(40); lines.Scan(); stop-- {
			n, isAck := strings.CutPrefix(lines.Text(), "acked ")
			if !isAck {
				t.Fatalf("the writer says %s", lines.Text())
			}
			acked = must(strconv.ParseInt(n, 10, 64))(t)
			if stop == 0 {
				ok(t, cmd.Process.Kill()) // and what is in the pipe still was told
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the writer ended by itself")
		}
		s := must(store.Open(t.Context(), "sqlite", dir, clock))(t)
		stored(t, s, acked)
		ok(t, s.Close())
	}
}

// run gives records of one agent from a number on.
func run(from, n int64) (list []wire.Record) {
	for seq := from; seq < from+n; seq++ {
		list = append(list, receipt("a1", 1, seq, fmt.Sprint("r", seq), "fiscal", true))
	}
	return list
}

// stored fails where less is stored than was acknowledged, or a batch in part.
func stored(t *testing.T, s store.Store, acked int64) {
	t.Helper()
	ack := must(s.Acks(t.Context(), "a1"))(t)[0]
	if ack.UpTo < acked || len(ack.Missing) > 0 || ack.UpTo%20 != 0 {
		t.Fatalf("stored is %+v, and acknowledged was up to %d", ack, acked)
	}
	found(t, len(must(s.Receipts(t.Context(), "a1", store.Filter{Limit: 1 << 20}))(t)), fmt.Sprint(ack.UpTo))
}

func TestCrashedPostgres(t *testing.T) {
	t.Parallel()
	cluster := storetest.MustPostgres(t)
	s := must(store.Open(t.Context(), cluster.Database(), t.TempDir(), clock))(t)
	defer s.Close()
	enrolled(t, s, "a1")
	next := int64(1)
	for range 2 {
		acks := make(chan int64)
		go func() { // until the server is gone
			defer close(acks)
			for {
				list, err := s.Ingest(context.Background(), run(next, 20))
				if err != nil {
					return
				}
				next = list[0].UpTo + 1
				acks <- list[0].UpTo
			}
		}()
		var acked int64
		for range 1 + rand.IntN(30) {
			acked = <-acks
		}
		var wg sync.WaitGroup
		wg.Go(cluster.Kill)
		for n := range acks {
			acked = n
		}
		wg.Wait()
		cluster.Start()
		stored(t, s, acked)
		next = must(s.Acks(t.Context(), "a1"))(t)[0].UpTo + 1
	}
}

// TestWhoGoesInTheMiddle: what was asked of PostgreSQL waits for a lock as whoever
// asked goes. Nothing of it is there, and the next ones are served.
func TestWhoGoesInTheMiddle(t *testing.T) {
	t.Parallel()
	url := storetest.MustPostgres(t).Database()
	s := must(store.Open(t.Context(), url, t.TempDir(), clock))(t)
	defer s.Close()
	enrolled(t, s, "a1")
	other, watch := must(pgx.Connect(t.Context(), url))(t), must(pgx.Connect(t.Context(), url))(t)
	defer other.Close(context.Background())
	defer watch.Close(context.Background())
	for range 20 {
		lock := must(other.Begin(t.Context()))(t)
		must(lock.Exec(t.Context(), `LOCK TABLE record`))(t)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for n := range 3 {
			all.Go(func() {
				if _, err := s.Ingest(ctx, run(int64(1+20*n), 20)); !errors.Is(err, context.Canceled) {
					t.Errorf("it ended with %v", err)
				}
			})
		}
		for waiting := 0; waiting < 1; {
			ok(t, watch.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`).Scan(&waiting))
		}
		cancel()
		all.Wait()
		ok(t, lock.Rollback(t.Context()))
	}
	found(t, len(must(s.Acks(t.Context(), "a1"))(t)), "0")
	must(s.Ingest(t.Context(), run(1, 20)))(t)
	stored(t, s, 20)
}

// TestLeaderLosesItsConnection: it stops, and another one leads.
func TestLeaderLosesItsConnection(t *testing.T) {
	t.Parallel()
	cluster := storetest.MustPostgres(t)
	s := must(store.Open(t.Context(), cluster.Database(), t.TempDir(), clock))(t)
	defer s.Close()
	ctx, stop := context.WithCancel(t.Context())
	terms := make(chan context.Context)
	done := make(chan error)
	go func() {
		done <- s.Lead(ctx, func(ctx context.Context) error {
			terms <- ctx
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	first := <-terms
	cluster.Kill()
	<-first.Done()
	cluster.Start()
	<-terms // again
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func testBackup(t *testing.T, open func() store.Store) {
	s := open()
	enrolled(t, s, "a1")
	must(s.Ingest(t.Context(), run(1, 20)))(t)
	file := filepath.Join(t.TempDir(), "it's a copy.db")
	ok(t, s.Backup(t.Context(), file))
	if info := must(os.Stat(file))(t); info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Fatalf("found %v", info.Mode())
	}
	if err := s.Backup(t.Context(), file); err == nil {
		t.Fatal("it wrote over a backup")
	}
	head := string(must(os.ReadFile(file))(t)[:6])
	if head == "SQLite" {
		dir := t.TempDir()
		ok(t, os.Rename(file, filepath.Join(dir, "cloud.db")))
		copied := must(store.Open(t.Context(), "sqlite", dir, clock))(t)
		defer copied.Close()
		stored(t, copied, 20)
		return
	}
	out, err := exec.Command("pg_restore", "--file=-", file).Output()
	ok(t, err)
	if n := strings.Count(string(out), "a1\t1\t"); n < 20 {
		t.Fatalf("the dump has %d of 20 records", n)
	}
}
