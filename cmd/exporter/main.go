// SPDX-License-Identifier: Apache-2.0

// Command skbpath follows packets through the Linux kernel and exports their
// journeys as OpenTelemetry traces, Prometheus metrics and text.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/prometheus/common/version"

	"github.com/skbpath/skbpath/pkg/tracer"
)

// Exit statuses.
const (
	exitDone   = 0 // ended by a signal, everything flushed
	exitFailed = 1 // could not run
	exitUsage  = 2 // was asked for something that cannot be
)

func main() {
	version.Version = cmp.Or(version.Version, buildVersion())
	os.Exit(run(os.Args[1:]))
}

// buildVersion is for a binary that the Makefile did not stamp: what Go knows of
// the module it was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return strings.Trim(info.Main.Version, "()") // (devel)
}

// ends are the signals that ask to end. Not that of a terminal which is gone where nohup
// has it ignored.
func ends() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), ends()...)
	defer stop()
	s, err := parse(args, os.Stdout)
	switch {
	case errors.Is(err, errAnswered):
		return exitDone
	case err == nil && s.check:
		err = check(ctx, s, os.Stdout)
	case err == nil:
		err = trace(ctx, s)
	}
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(os.Stderr, "skbpath:", oneLine(err))
	var usage *tracer.UsageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
