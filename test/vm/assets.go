// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// assets is what a machine is made of.
type assets struct {
	qemu   string // program
	kernel string // directory: vmlinuz, modules/
	tools  string // root directory
	init   string // program
	tmp    string // for everything that goes away with the machine
}

func (a *assets) remove() { _ = os.RemoveAll(a.tmp) }

// findAssets fetches what is missing and builds the guest's init.
func findAssets(ctx context.Context, series string) (a *assets, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	root, err := sourceRoot()
	if err != nil {
		return nil, err
	}
	a = new(assets)
	for _, what := range []struct {
		path *string
		args []string
	}{{&a.qemu, []string{"qemu"}}, {&a.kernel, []string{"kernel", series}}, {&a.tools, []string{"tools"}}} {
		if *what.path, err = fetch(ctx, root, what.args...); err != nil {
			return nil, err
		}
	}
	if a.tmp, err = os.MkdirTemp("", "skbpath-vm-"); err != nil {
		return nil, err
	}
	a.init = filepath.Join(a.tmp, "init")
	if err := buildInit(ctx, root, a.init); err != nil {
		a.remove()
		return nil, err
	}
	return a, nil
}

// sourceRoot is the directory above this one that has test/fetch.
func sourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "test", "fetch")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("vm: test/fetch not found: run inside skbpath's source tree")
		}
	}
}

func fetch(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(root, "test", "fetch"), args...)
	out, err := output(cmd)
	if err != nil {
		return "", fmt.Errorf("test/fetch %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(out), nil
}

func buildInit(ctx context.Context, root, file string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "./test/vm/guest")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if _, err := output(cmd); err != nil {
		return fmt.Errorf("build the guest's init: %w", err)
	}
	return nil
}

// output is the command's standard output; an error has its standard error.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
