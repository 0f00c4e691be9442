package replay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// Receipt is one receipt as the till closed it.
type Receipt struct {
	ID     string
	Parent string // the id of what it refunds or cancels; "" is none
	Body   []byte // the JSON that is posted, the same bytes each time
}

// Selection says which receipts of a file are wanted, and under which ids.
type Selection struct {
	Day    string // only this business day, such as 2026-11-20; "" is all
	Limit  int    // at most so many; 0 is all
	Prefix string // put before every id, so that a file can be sold again
}

// DayBegins is when a restaurant's day begins: the guests of one evening who
// leave after midnight belong to it.
const DayBegins = 5 * time.Hour

// maxLine is far above the 1 MiB that the agent reads of one receipt.
const maxLine = 4 << 20

var validID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// Read reads receipts, one JSON object a line. Amounts pass through as they
// stand in the file: no number is ever parsed.
func Read(r io.Reader, want Selection) ([]Receipt, error) {
	if want.Day != "" {
		if _, err := time.Parse(time.DateOnly, want.Day); err != nil {
			return nil, fmt.Errorf("select the day %q: not a date; write it as 2026-11-20", want.Day)
		}
	}
	var list []Receipt
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		x, day, err := parse(lines.Bytes(), want.Prefix)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if want.Day != "" && day != want.Day {
			continue
		}
		if list = append(list, x); len(list) == want.Limit {
			break
		}
	}
	return list, lines.Err()
}

// parse reads one line, renames it, and gives the business day that it is of.
func parse(line []byte, prefix string) (x Receipt, day string, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return x, "", fmt.Errorf("read a receipt: %w", err)
	}
	var at time.Time
	if err := json.Unmarshal(fields["time"], &at); err != nil {
		return x, "", errors.New("read a receipt's time: missing, or not such as 2026-11-20T19:05:12+04:00")
	}
	if x.ID, err = rename(fields, prefix); err != nil {
		return x, "", err
	}
	if x.Parent, err = renameParent(fields, prefix); err != nil {
		return x, "", err
	}
	x.Body, err = json.Marshal(fields)
	return x, at.Add(-DayBegins).Format(time.DateOnly), err
}

func rename(fields map[string]json.RawMessage, prefix string) (id string, err error) {
	if err := json.Unmarshal(fields["id"], &id); err != nil {
		return "", errors.New("read a receipt's id: missing, or not a text")
	}
	if id = prefix + id; !validID.MatchString(id) {
		return "", fmt.Errorf("name a receipt %q: an id is 1 to 64 letters, digits, '.', '_', ':' and '-'", id)
	}
	fields["id"], err = json.Marshal(id)
	return id, err
}

// renameParent renames a parent alike. One that is named by its fiscal id is
// not in any file, and stays.
func renameParent(fields map[string]json.RawMessage, prefix string) (id string, err error) {
	var parent map[string]json.RawMessage
	if raw, ok := fields["parent"]; !ok || string(raw) == "null" {
		return "", nil
	} else if err := json.Unmarshal(raw, &parent); err != nil {
		return "", fmt.Errorf("read a receipt's parent: %w", err)
	}
	if _, ok := parent["id"]; !ok {
		return "", nil
	}
	if id, err = rename(parent, prefix); err != nil {
		return "", fmt.Errorf("parent: %w", err)
	}
	fields["parent"], err = json.Marshal(parent)
	return id, err
}
