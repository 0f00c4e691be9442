package agent

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/journal"
)

const aboutExport = `What an ekassa agent knows, for whoever has to look into a question.

journal.db     every receipt, what was tried at the register, and what was learned of it; SQLite
settings.json  of agent.yaml; secrets are masked
doctor.json    what ekassa-agent doctor found
about.json     when, of which program, on which machine
SHA256SUMS     of all of these

There is no Merchant ID, password, token or PIN in here. There are cashiers' names and what was sold.
`

// Export writes a bundle of evidence to a new .tar.gz file: the whole journal as
// of one moment, the settings with their secrets masked, and what the doctor
// finds. It may run beside a running agent. Where it fails, no file is left.
func Export(ctx context.Context, cfg config.Config, version, out string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("export to %s: %w", out, err)
		}
	}()
	folder, err := os.MkdirTemp(filepath.Dir(out), ".export-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	copied := filepath.Join(folder, "journal.db")
	if err := journal.Backup(cfg.DataDir, copied); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("it is there already; choose another name")
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(out))
		}
	}()
	b := &bundle{compressed: gzip.NewWriter(file), at: time.Now().UTC().Truncate(time.Second)}
	b.files = tar.NewWriter(b.compressed)
	b.add("README.txt", strings.NewReader(aboutExport), int64(len(aboutExport)))
	b.json("about.json", map[string]any{"time": b.at, "version": version, "host": host, "data_dir": cfg.DataDir, "listen": cfg.Listen, "cloud": cfg.Cloud})
	b.json("settings.json", cfg.Settings.Masked())
	b.json("doctor.json", Doctor(ctx, cfg))
	b.file("journal.db", copied)
	b.add("SHA256SUMS", strings.NewReader(b.sums), int64(len(b.sums)))
	return errors.Join(b.err, b.files.Close(), b.compressed.Close(), file.Sync(), file.Close())
}

// bundle collects files; after an error it does nothing more.
type bundle struct {
	compressed *gzip.Writer
	files      *tar.Writer
	at         time.Time
	sums       string
	err        error
}

func (b *bundle) add(name string, data io.Reader, size int64) {
	if b.err == nil {
		b.err = b.files.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: b.at})
	}
	if b.err != nil {
		return
	}
	sum := sha256.New()
	_, b.err = io.Copy(io.MultiWriter(b.files, sum), data)
	b.sums += fmt.Sprintf("%x  %s\n", sum.Sum(nil), name)
}

func (b *bundle) json(name string, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	b.add(name, strings.NewReader(string(data)), int64(len(data)))
}

func (b *bundle) file(name, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	b.add(name, f, info.Size())
}
