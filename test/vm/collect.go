// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/skbpath/skbpath/test/vm/plan"
)

// collect unpacks what the guest sent, as far as it got.
func (r *Result) collect(archive string, cfg Config) error {
	r.Scenarios = make(map[string]ScenarioResult)
	f, err := os.Open(archive)
	if err != nil {
		return errIncomplete
	}
	defer f.Close()
	stdout := make(map[string]string)
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if err != nil {
			return errIncomplete
		}
		if h.Name == plan.Done {
			break
		}
		if err := r.collectOne(h.Name, in, cfg.Dir, stdout); err != nil {
			return err
		}
	}
	for _, s := range cfg.Scenarios {
		if code := r.Scenarios[s.Name].ExitCode; code != 0 && r.ExitCode == 0 {
			r.ExitCode = code
		}
	}
	return nil
}

func (r *Result) collectOne(name string, in io.Reader, dir string, stdout map[string]string) error {
	if rest, ok := strings.CutPrefix(name, plan.FilesPrefix); ok {
		return saveFile(dir, rest, in)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return errIncomplete
	}
	if rest, ok := strings.CutPrefix(name, plan.StdoutPrefix); ok {
		stdout[rest] = string(data)
		return nil
	}
	rest, ok := strings.CutPrefix(name, plan.StatusPrefix)
	if !ok {
		return fmt.Errorf("the guest sent %q, which means nothing", name)
	}
	var status plan.Status
	if err := json.Unmarshal(data, &status); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Scenarios[rest] = ScenarioResult{
		ExitCode: status.ExitCode, TimedOut: status.TimedOut, Duration: status.Duration,
		Stdout: stdout[rest], Dir: filepath.Join(dir, rest),
	}
	return os.MkdirAll(filepath.Join(dir, rest), 0o755)
}

// saveFile writes one file below dir and nowhere else.
func saveFile(dir, name string, in io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	return errors.Join(err, f.Close())
}
