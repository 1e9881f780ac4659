// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/skbpath/skbpath/test/vm/plan"
)

const stdoutDir = "/run/stdout"

// results writes the archive that goes back to the host, scenario by scenario,
// so that a later crash loses nothing that was done before.
type results struct {
	tar *tar.Writer
}

func newResults(w io.Writer) *results { return &results{tar: tar.NewWriter(w)} }

func (r *results) add(name string, status plan.Status) error {
	if err := r.addTree(filepath.Join(plan.Out, name), plan.FilesPrefix+name); err != nil {
		return err
	}
	if err := r.addFile(filepath.Join(stdoutDir, name), plan.StdoutPrefix+name); err != nil {
		return err
	}
	data, err := json.Marshal(status)
	if err != nil {
		return err
	}
	if err := r.addBytes(plan.StatusPrefix+name, data); err != nil {
		return err
	}
	return r.tar.Flush()
}

func (r *results) close() error {
	return errors.Join(r.addBytes(plan.Done, nil), r.tar.Close())
}

func (r *results) addTree(dir, prefix string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return r.addFile(path, prefix+"/"+rel)
	})
}

func (r *results) addFile(path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := r.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{r.tar}, io.LimitReader(f, info.Size()), make([]byte, 128<<10))
	return err
}

func (r *results) addBytes(name string, data []byte) error {
	if err := r.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := r.tar.Write(data)
	return err
}
