// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skbpath/skbpath/test/vm/plan"
)

// maxEcho bounds what a scenario may write to the slow console; its whole
// output is in the results.
const maxEcho = 256 << 10

func runScenario(s plan.Scenario) (plan.Status, error) {
	fmt.Printf("vm: === %s: begin\n", s.Name)
	dir := filepath.Join(plan.Out, s.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return plan.Status{}, err
	}
	start := time.Now()
	status, err := runScript(s, dir)
	status.Duration = time.Since(start)
	fmt.Printf("vm: === %s: end, exit code %d, timed out %t, %v\n", s.Name, status.ExitCode, status.TimedOut, status.Duration)
	return status, errors.Join(err, removeNamespaces())
}

// runScript runs the script, ends whatever it left running, and waits until
// all output is copied.
func runScript(s plan.Scenario, dir string) (plan.Status, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return plan.Status{}, err
	}
	defer r.Close()
	copied := make(chan error, 1)
	go func() { copied <- copyOutput(s.Name, r) }()
	status, err := runShell(s, dir, w)
	w.Close()
	endProcesses()
	return status, errors.Join(err, <-copied)
}

func runShell(s plan.Scenario, dir string, out *os.File) (plan.Status, error) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if s.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
	}
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-eu", s.Script)
	cmd.Dir = "/root"
	cmd.Env = []string{
		"OUT=" + dir, "HOME=/root", "LANG=C", "TERM=dumb",
		"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return plan.Status{}, err
	}
	return plan.Status{ExitCode: exitCode(cmd.ProcessState), TimedOut: ctx.Err() != nil}, nil
}

// exitCode counts signals as a shell does.
func exitCode(p *os.ProcessState) int {
	if ws, ok := p.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.ExitCode()
}

func copyOutput(name string, r io.Reader) error {
	if err := os.MkdirAll(stdoutDir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(stdoutDir, name))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.MultiWriter(f, &limited{w: os.Stdout, left: maxEcho}), r)
	return errors.Join(err, f.Close())
}

// limited passes on the first bytes and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	head := p[:min(len(p), l.left)]
	l.left -= len(head)
	if len(head) > 0 {
		if _, err := l.w.Write(head); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// endProcesses ends every process but this one. Nothing else may be waiting
// for a child at this point.
func endProcesses() {
	_ = unix.Kill(-1, unix.SIGKILL)
	for {
		_, err := unix.Wait4(-1, nil, 0, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// removeNamespaces undoes `ip netns add`.
func removeNamespaces() error {
	names, err := filepath.Glob("/run/netns/*")
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		_ = unix.Unmount(name, unix.MNT_DETACH)
		errs = append(errs, os.Remove(name))
	}
	return errors.Join(errs...)
}
