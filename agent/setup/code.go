package setup

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ekassa/agent/durable"
)

// The page of the first start is open to whoever has the code: it is in the log of
// the service, and ekassa-agent setup --code makes another one. Both take somebody
// who is at the machine. It is good for one browser, for CodeAge, and for so many
// tries; then it is void, and another one has to be made.
const (
	CodeAge   = 30 * time.Minute
	codeTries = 5
	codeName  = "setup-code.json" // in the data folder, which others cannot read
)

// Errors of Codes.Use.
var (
	ErrCode     = errors.New("the code is not right")
	ErrCodeVoid = errors.New("there is no code that is valid now")
)

type code struct {
	Code  string    `json:"code"` // digits alone
	Until time.Time `json:"until"`
}

// Codes are a data folder's; the file is the truth.
type Codes struct {
	path string
	now  func() time.Time

	mu     sync.Mutex
	missed string // the code whose misses are counted
	misses int
}

// CodesIn gives those of a data folder.
func CodesIn(dir string) *Codes { return &Codes{path: filepath.Join(dir, codeName), now: time.Now} }

// New makes a code, in the place of the one before, and gives it as people read
// it: 1234-5678.
func (c *Codes) New() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return "", fmt.Errorf("make a code: %w", err)
	}
	digits := fmt.Sprintf("%08d", n)
	data, err := json.Marshal(code{Code: digits, Until: c.now().Add(CodeAge).UTC().Truncate(time.Second)})
	if err == nil {
		err = durable.Replace(c.path, append(data, '\n'))
	}
	if err != nil {
		return "", fmt.Errorf("keep the code: %w", err)
	}
	return digits[:4] + "-" + digits[4:], nil
}

// Use says whether this is the code, which is then used up. Errors: ErrCode,
// ErrCodeVoid.
func (c *Codes) Use(said string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrCodeVoid
	}
	var is code
	if err == nil {
		err = json.Unmarshal(data, &is)
	}
	if err != nil || len(is.Code) != 8 || c.now().After(is.Until) {
		return errors.Join(ErrCodeVoid, c.Void())
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, said)
	if subtle.ConstantTimeCompare([]byte(digits), []byte(is.Code)) == 1 {
		return c.Void()
	}
	if c.missed != is.Code {
		c.missed, c.misses = is.Code, 0
	}
	if c.misses++; c.misses >= codeTries {
		return errors.Join(ErrCodeVoid, c.Void())
	}
	return ErrCode
}

// Void takes the code back, if there is one.
func (c *Codes) Void() error {
	if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take the code back: %w", err)
	}
	return nil
}
