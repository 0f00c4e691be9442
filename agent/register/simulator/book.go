package simulator

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// The types of record in a state file.
const (
	recordLedger      = "ledger" // always the first: whose ledger this is
	recordSerial      = "serial" // another device stands here from now on
	recordShiftOpened = "shift_opened"
	recordShiftClosed = "shift_closed"
	recordDocument    = "document"
	recordPrinted     = "printed" // paper of an earlier document came out after all
	recordOrder       = "order"
	recordOrdersGone  = "orders_gone"
)

// record is one line of the state file.
type record struct {
	Type     string       `json:"type"`
	At       time.Time    `json:"at"`
	Serial   string       `json:"serial"`
	Version  int          `json:"version,omitempty"`
	Protocol string       `json:"protocol,omitempty"`
	Salt     string       `json:"salt,omitempty"`
	Shift    int64        `json:"shift,omitempty"`
	By       string       `json:"by,omitempty"`
	ID       int64        `json:"id,omitempty"`
	Document *Document    `json:"document,omitempty"`
	Closed   *ClosedShift `json:"closed,omitempty"`
	Order    *Order       `json:"order,omitempty"`
}

// book is the ledger: the records on disk and the tokens that they amount to.
// Each line is one JSON record ending in a checksum. A line is written and synced
// before anything is answered, so a line without its line break was never
// answered and may be cut off; any other damage is an error.
type book struct {
	path    string // "" = in memory only
	file    *os.File
	lock    *flock.Flock
	size    int64
	broken  error // set when the file can no longer be trusted
	salt    string
	current string // serial of the device that stands here
	tokens  map[string]*token
	all     []*Document // of every token, in the order made
	sync    func(*os.File) error
}

// openBook opens or creates the ledger of a protocol's register. The serial may
// be empty: then the one in the file counts, or else fallback. The warning is
// empty unless a torn last line was cut off.
func openBook(path, protocol, serial, fallback string, now time.Time) (b *book, warning string, err error) {
	b = &book{path: path, tokens: map[string]*token{}, sync: (*os.File).Sync}
	if path != "" {
		if warning, err = b.open(protocol, serial); err != nil {
			b.close()
			return nil, "", fmt.Errorf("open state file %s: %w", path, err)
		}
	}
	if b.salt == "" {
		if serial == "" {
			serial = fallback
		}
		salt := make([]byte, 8)
		_, _ = rand.Read(salt) // never fails
		head := record{Type: recordLedger, At: now, Serial: serial, Version: 1, Protocol: protocol, Salt: hex.EncodeToString(salt)}
		if err := b.append(head); err != nil {
			b.close()
			return nil, "", err
		}
		if err := b.syncFolder(); err != nil {
			b.close()
			return nil, "", err
		}
	}
	return b, warning, nil
}

func (b *book) open(protocol, serial string) (warning string, err error) {
	lock := flock.New(b.path, flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return "", fmt.Errorf("%w: check the folder and its permissions", plain(err))
	}
	b.lock = lock
	if !ok {
		return "", errors.New("another simulator holds it: stop that one, or give this one a file of its own")
	}
	if b.file, err = os.OpenFile(b.path, os.O_RDWR, 0); err != nil {
		return "", plain(err)
	}
	data, err := io.ReadAll(b.file)
	if err != nil {
		return "", plain(err)
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	if head := []byte(`{"type":"ledger"`); !bytes.HasPrefix(data, head) && !bytes.HasPrefix(head, data) {
		return "", errors.New("it is not a ledger: name another file")
	}
	b.size = int64(whole)
	for i, line := range bytes.SplitAfter(data[:whole], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		r, err := decodeRecord(line[:len(line)-1])
		if err == nil && (r.Type == recordLedger) != (i == 0) {
			err = errors.New("the record that names the ledger is not where it belongs")
		}
		if err == nil && i == 0 && (r.Version != 1 || r.Protocol != protocol || r.Salt == "" || r.Serial == "") {
			err = fmt.Errorf("it is a ledger of protocol %q, version %d, not of %q, version 1", r.Protocol, r.Version, protocol)
		}
		if err == nil {
			err = b.apply(r)
		}
		if err != nil {
			return "", fmt.Errorf("line %d is damaged (%w): restore the file, or start with a new one", i+1, err)
		}
	}
	if b.current != "" && serial != "" && serial != b.current {
		return "", fmt.Errorf("it belongs to serial %s, but serial %s was asked for: leave the serial out, or use another file", b.current, serial)
	}
	if whole < len(data) {
		warning = fmt.Sprintf("cut off a torn last line of %d bytes in %s: it was never answered", len(data)-whole, b.path)
		if err := errors.Join(b.file.Truncate(int64(whole)), b.file.Sync()); err != nil {
			return "", plain(err)
		}
	}
	return warning, nil
}

// plain drops the path that os errors repeat.
func plain(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

var checksumKey = []byte(`,"crc":"`)

func encodeRecord(r record) ([]byte, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	line = line[:len(line)-1]
	return fmt.Appendf(line, "%s%08x\"}\n", checksumKey, crc32.ChecksumIEEE(line)), nil
}

func decodeRecord(line []byte) (r record, err error) {
	body := line[:max(0, len(line)-len(checksumKey)-len(`00000000"}`))]
	if want := fmt.Appendf(nil, "%s%08x\"}", checksumKey, crc32.ChecksumIEEE(body)); !bytes.Equal(line[len(body):], want) {
		return r, errors.New("the checksum does not match")
	}
	err = json.Unmarshal(append(bytes.Clone(body), '}'), &r)
	return r, err
}

// append makes a record durable and then takes it into the state. After an error
// nothing has changed.
func (b *book) append(r record) error {
	if b.broken != nil {
		return &Refusal{Broken, b.broken.Error()}
	}
	if b.file != nil {
		line, err := encodeRecord(r)
		if err != nil {
			return &Refusal{Broken, err.Error()}
		}
		_, err = b.file.WriteAt(line, b.size)
		if err == nil {
			err = b.sync(b.file)
		}
		if err != nil {
			// Take back what may have been written; if even that fails, nobody knows
			// what the file holds, and the token must not go on.
			if back := errors.Join(b.file.Truncate(b.size), b.sync(b.file)); back != nil {
				b.broken = fmt.Errorf("write state file %s: %w; taking it back: %w", b.path, err, back)
			}
			return &Refusal{Broken, fmt.Sprintf("write state file %s: %v", b.path, err)}
		}
		b.size += int64(len(line))
	}
	if err := b.apply(r); err != nil {
		b.broken = fmt.Errorf("the simulator's own record does not follow: %w", err)
		return &Refusal{Broken, b.broken.Error()}
	}
	return nil
}

func (b *book) apply(r record) error {
	switch r.Type {
	case recordLedger:
		b.salt, b.current = r.Salt, r.Serial
		return nil
	case recordSerial:
		if r.Serial == "" {
			return errors.New("a device without a serial")
		}
		b.current = r.Serial
		return nil
	}
	if err := b.token(r.Serial).apply(r); err != nil {
		return err
	}
	if r.Type == recordDocument {
		b.all = append(b.all, r.Document)
	}
	if r.Type == recordPrinted {
		d := b.token(r.Serial).byID[r.ID]
		for i := len(b.all) - 1; i >= 0; i-- {
			if b.all[i].Serial == d.Serial && b.all[i].ID == d.ID {
				b.all[i] = d
				break
			}
		}
	}
	return nil
}

// token is the state of one device; a serial never seen is a new device.
func (b *book) token(serial string) *token {
	t := b.tokens[serial]
	if t == nil {
		t = newToken(serial)
		b.tokens[serial] = t
	}
	return t
}

func (b *book) syncFolder() error {
	if b.path == "" {
		return nil
	}
	folder, err := os.Open(filepath.Dir(b.path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func (b *book) close() error {
	var errs []error
	if b.file != nil {
		errs = append(errs, b.file.Close())
		b.file = nil
	}
	if b.lock != nil {
		errs = append(errs, b.lock.Close())
		b.lock = nil
	}
	if b.broken == nil {
		b.broken = errors.New("the simulator is closed")
	}
	return errors.Join(errs...)
}
