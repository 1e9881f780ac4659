// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"
	"go.opentelemetry.io/otel"

	"github.com/skbpath/skbpath/pkg/export"
	"github.com/skbpath/skbpath/pkg/export/otlp"
	"github.com/skbpath/skbpath/pkg/export/profile"
	"github.com/skbpath/skbpath/pkg/export/prom"
	"github.com/skbpath/skbpath/pkg/export/term"
	"github.com/skbpath/skbpath/pkg/tracer"
)

// flushTimeout is how long the sinks have to send what they hold at the end.
const flushTimeout = 5 * time.Second

// ballast is memory that is allocated and never touched, so that it takes none: what it adds
// to the heap lets that grow by as much more before Go collects garbage, which else comes
// with every few hundred packets.
const ballast = 16 << 20

// trace runs the pipeline until the context ends:
//
//	kernel ─ tracer ─Journey→ fan-out ─┬→ otlp       OTLP, where an endpoint is set
//	         │                         ├→ exemplars  of its traces, for prom
//	         │                         ├→ profile    /debug/packets/profile
//	         │                         └→ print      standard output
//	         └─ counts ─────────────────→ prom       /metrics
//
// Everything that can fail without touching the kernel comes first.
func trace(ctx context.Context, s *settings) (err error) {
	defer runtime.KeepAlive(make([]byte, ballast))
	log := promslog.New(&s.log)
	handleTelemetryErrors(log)
	if err := s.tracer.Validate(); err != nil {
		return err
	}
	if err := withdraw(s.readyFile); err != nil {
		return err
	}
	listeners, err := listen(s.web)
	if err != nil {
		return err
	}
	defer listeners.close()
	sinks, err := openSinks(ctx, s, log)
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	web, err := serve(s, listeners, sinks.profile, log, fail)
	if err != nil {
		return err
	}
	defer web.close()
	loading := time.Now()
	t, err := openTracer(ctx, s, log)
	if errors.Is(err, context.Canceled) { // asked to end before it began
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	debug.FreeOSMemory() // symbols and BTF, read to attach, take several times what is needed from now on

	fanout := export.NewFanout(log, sinks.routes...)
	defer flush(fanout, log)
	if err := sinks.recordOnDemand(t); err != nil {
		return err
	}
	web.open(prom.NewCollector(prom.Config{
		Kernel: t, Loaded: loading, Losses: fanout.Losses, Fill: fanout.Fill, Exemplars: sinks.exemplars, Log: log,
	}))
	defer web.close() // before what it shows
	if err := announce(s.readyFile); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, withdraw(s.readyFile)) }()
	log.Info("following packets", "filter", s.tracer.Filter, "metrics", listeners.url(s.telemetryPath), "traces", tracesGo())
	if err := t.Run(ctx, fanout.Emit); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// flush lets the sinks send what they hold, and says what they did not get.
func flush(fanout *export.Fanout, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := fanout.Close(ctx); err != nil {
		log.Warn("not everything was sent before the end", "err", err)
	}
	for _, loss := range fanout.Losses() {
		if loss.Count > 0 {
			log.Warn("journeys that one sink did not get", "cause", loss.Cause, "journeys", loss.Count)
		}
	}
}

// tracesGo says where to, for a log.
func tracesGo() string {
	if !otlp.Enabled(os.Getenv) {
		return "nowhere"
	}
	return otlp.Endpoint(os.Getenv)
}

// sinks is where journeys go. The profile, which is asked for what it holds, is
// the first.
type sinks struct {
	profile   *profile.Sink
	exemplars *prom.Exemplars // nil without traces, to which they lead
	routes    []export.Route  // to all
}

func (s *sinks) add(r export.Route) { s.routes = append(s.routes, r) }

// recordOnDemand has journeys recorded only while a profile is, where no other
// sink takes them.
func (s *sinks) recordOnDemand(t *tracer.Tracer) error {
	if len(s.routes) > 1 {
		return nil
	}
	s.profile.OnDemand(t.Record)
	return t.Record(false)
}

// openSinks opens every sink asked for.
func openSinks(ctx context.Context, s *settings, log *slog.Logger) (*sinks, error) {
	all := &sinks{profile: profile.NewSink()}
	all.add(export.Route{Sink: all.profile})
	traces := otlp.Enabled(os.Getenv)
	if traces {
		sink, err := otlp.New(ctx, otlp.Config{Version: version.Version, Getenv: os.Getenv, Log: log})
		if err != nil {
			return nil, &tracer.UsageError{Err: err}
		}
		all.add(export.Route{Sink: sink, Limits: sink.Limits()})
		all.exemplars = prom.NewExemplars()
		all.add(export.Route{Sink: all.exemplars})
	}
	switch {
	case s.print == "json":
		all.add(export.Route{Sink: term.NewJSON(os.Stdout)})
	case s.print == "text", s.print == "" && !traces:
		all.add(export.Route{Sink: term.NewText(os.Stdout, term.Colour(os.Stdout, os.Getenv))})
	}
	return all, nil
}

// openTracer attaches to the kernel and logs what it got.
func openTracer(ctx context.Context, s *settings, log *slog.Logger) (*tracer.Tracer, error) {
	config := s.tracer
	config.Log = log
	progress := newProgress(os.Stderr)
	config.Progress = progress.show
	t, err := tracer.Open(ctx, config)
	progress.clear()
	if err != nil {
		return nil, err
	}
	report := t.Report()
	attached := []any{"hops", report.Source}
	if report.Backend != "" {
		attached = append(attached, "backend", report.Backend)
	}
	attached = append(attached, "attached", report.Attached, "refused", len(report.Refused), "skipped", len(report.Skipped))
	if len(report.Skipped) > 0 {
		attached = append(attached, "hint", "with --check, skbpath names what is skipped and why")
	}
	log.Info("attached to the kernel", attached...)
	for _, miss := range report.Refused {
		log.Warn("not traced", "name", miss.Name, "reason", miss.Reason)
	}
	for _, miss := range report.Skipped {
		log.Debug("not traced", "name", miss.Name, "reason", miss.Reason)
	}
	return t, nil
}

// handleTelemetryErrors sends what the OpenTelemetry SDK has to say to our log.
func handleTelemetryErrors(log *slog.Logger) {
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Error("OpenTelemetry", "err", err)
	}))
}

// withdraw removes the ready file, of an earlier run too, if it is a file and no device, and
// sees to it that there is a directory for it.
func withdraw(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return &tracer.UsageError{Err: fmt.Errorf("--ready-file %s: %w", path, err)}
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("--ready-file %s: %w", path, err)
	}
	return nil
}

// announce creates the ready file.
func announce(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("--ready-file %s: %w", path, err)
	}
	return f.Close()
}
