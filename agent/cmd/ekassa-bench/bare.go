package main

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the register's protocol
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	_ "github.com/mattn/go-sqlite3" // measured without the journal

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/azsmart"
)

// disk is the bare limit of storing a receipt: one durable insert of its bytes
// into a plain table with SQLite's own page size, as a plain program would do.
type disk struct {
	db     *sql.DB
	insert *sql.Stmt
}

func newDisk(path string) (*disk, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE receipt (id INTEGER PRIMARY KEY, content TEXT NOT NULL) STRICT`)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	d := &disk{db: db}
	d.insert, err = db.Prepare(`INSERT INTO receipt (content) VALUES (?)`)
	return d, err
}

func (d *disk) commit(content []byte) (time.Duration, error) {
	begun := time.Now()
	_, err := d.insert.Exec(string(content))
	return time.Since(begun), err
}

func (d *disk) close() error { return errors.Join(d.insert.Close(), d.db.Close()) }

// wire is the bare limit of a sale: the very bytes that the agent's driver
// would send, signed and posted over one kept connection.
type wire struct {
	url    string
	driver *azsmart.Driver // only writes the request
	client *http.Client
	next   int64
}

func newWire(ctx context.Context, addr string) (*wire, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	w := &wire{url: "http://" + addr, client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}, next: 1e15 + time.Now().UnixMilli()}
	w.driver = azsmart.New(azsmart.Config{Addr: at, MerchantID: merchant})
	if _, err := w.driver.Identify(ctx); err != nil { // tells it which edition to write for
		return nil, err
	}
	if o := w.driver.OpenShift(ctx, "bench"); o.Verdict != register.Made {
		return nil, fmt.Errorf("open the shift of the bare register: %s %s %w", o.Code, o.Text, o.Err)
	}
	return w, nil
}

func (w *wire) close() { w.client.CloseIdleConnections() }

// prepare writes the request for a till's receipt.
func (w *wire) prepare(content []byte) (register.Request, error) {
	r, _, err := receipt.Decode(content, receipt.Defaults{Fiscal: true, Tax: receipt.Tax{Type: receipt.VAT18}})
	if err != nil {
		return register.Request{}, err
	}
	w.next++
	return w.driver.Prepare(register.Job{Key: strconv.FormatInt(w.next, 10), Terminal: "till-1", Receipt: r})
}

// send signs and posts, and reads that a document was made.
func (w *wire) send(ctx context.Context, r register.Request) (time.Duration, error) {
	begun := time.Now()
	data := base64.StdEncoding.EncodeToString(r.Body)
	sum := sha1.Sum([]byte(data + merchant)) //nolint:gosec // as above
	sign := base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
	form := "data=" + url.QueryEscape(data) + "&sign=" + url.QueryEscape(sign)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/"+r.Route, bytes.NewReader([]byte(form)))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := w.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	took := time.Since(begun)
	var said struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Status != "success" {
		return took, fmt.Errorf("the register answered the bare sale with %s", body)
	}
	return took, nil
}
