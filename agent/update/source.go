package update

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// From gives the release in a folder, or in a tar file of one.
func From(path string) (Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w; name the folder, or the .tar file, that has the release", err)
	}
	if info.IsDir() {
		return func(_ context.Context, name string) (io.ReadCloser, error) { return os.Open(filepath.Join(path, name)) }, nil
	}
	return func(_ context.Context, name string) (io.ReadCloser, error) { return inTar(path, name) }, nil
}

// inTar finds a file of a tar by the last part of its name.
func inTar(path, name string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%s is not in %s", name, path)
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if h.Typeflag == tar.TypeReg && filepath.Base(h.Name) == name {
			return struct {
				io.Reader
				io.Closer
			}{r, f}, nil
		}
	}
}

// Getter does requests to the cloud.
type Getter interface {
	Get(ctx context.Context, path string) (*http.Response, error)
}

// At gives a version from the cloud.
func At(cloud Getter, version string) Source {
	return func(ctx context.Context, name string) (io.ReadCloser, error) {
		answer, err := cloud.Get(ctx, "releases/"+url.PathEscape(version)+"/"+url.PathEscape(name))
		if err != nil {
			return nil, fmt.Errorf("fetch %s of version %s: %w", name, version, err)
		}
		return answer.Body, nil
	}
}

// fetch reads one of the small files.
func fetch(ctx context.Context, from Source, name string, most int64) ([]byte, error) {
	r, err := from(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return limited(r, name, most)
}

func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return limited(f, filepath.Base(path), most)
}

func limited(r io.Reader, name string, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
