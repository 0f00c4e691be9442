package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func run(ctx context.Context, program string, args ...string) error {
	_, err := output(ctx, program, args...)
	return err
}

func output(ctx context.Context, program string, args ...string) ([]byte, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(program), args[0], err, bytes.TrimSpace(said.Bytes()))
	}
	return out.Bytes(), nil
}

// get reads a page of the cloud's that needs no token.
func (c *chain) get(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.web+path, nil)
	if err != nil {
		return "", err
	}
	return do(r)
}

func do(r *http.Request) (string, error) {
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err == nil && w.StatusCode > 299 {
		err = fmt.Errorf("%s %s: %s: %.500s", r.Method, r.URL.Path, w.Status, text)
	}
	return string(text), err
}

// ask asks the cloud's API.
func (c *chain) ask(ctx context.Context, method, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.web+"/api/v1"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	text, err := do(r)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), into)
}

// usage is what the cloud says of itself.
type usage struct{ memory, cpu, goroutines, heap float64 } // MB, s, how many, MB

func (c *chain) usage(ctx context.Context) (u usage, err error) {
	text, err := c.get(ctx, "/metrics")
	if err != nil {
		return u, err
	}
	into := map[string]*float64{
		"process_resident_memory_bytes": &u.memory, "process_cpu_seconds_total": &u.cpu, "go_goroutines": &u.goroutines, "go_memstats_heap_inuse_bytes": &u.heap,
	}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if to := into[name]; to != nil {
			if *to, err = strconv.ParseFloat(value, 64); err != nil {
				return u, err
			}
		}
	}
	u.memory, u.heap = u.memory/1e6, u.heap/1e6
	return u, nil
}
