// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"
	"go.opentelemetry.io/otel"

	"github.com/skbpath/skbpath/pkg/export"
	"github.com/skbpath/skbpath/pkg/export/otlp"
	"github.com/skbpath/skbpath/pkg/export/prom"
	"github.com/skbpath/skbpath/pkg/export/term"
	"github.com/skbpath/skbpath/pkg/tracer"
)

// flushTimeout is how long the sinks have to send what they hold at the end.
const flushTimeout = 5 * time.Second

// trace runs the pipeline until the context ends:
//
//	kernel ─ tracer ─Journey→ fan-out ─┬→ otlp   OTLP, where an endpoint is set
//	                                   ├→ prom   /metrics
//	                                   └→ print  standard output
//
// Everything that can fail without touching the kernel comes first.
func trace(ctx context.Context, s *settings) (err error) {
	log := promslog.New(&s.log)
	handleTelemetryErrors(log)
	listeners, err := listen(s.web)
	if err != nil {
		return err
	}
	defer func() { listeners.close() }()
	routes, metrics, err := openSinks(ctx, s, log)
	if err != nil {
		return err
	}
	t, err := openTracer(s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()

	fanout := export.NewFanout(log, routes...)
	defer func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := fanout.Close(flush); err != nil {
			log.Warn("not everything was sent before the end", "err", err)
		}
	}()
	collector := prom.NewCollector(metrics, t, fanout.Losses, log)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stopServing, err := serve(s, listeners, collector, log, fail)
	if err != nil {
		return err
	}
	defer stopServing()
	if err := announce(s.readyFile); err != nil {
		return err
	}
	log.Info("following packets", "filter", s.tracer.Filter, "metrics", listeners.url(s.telemetryPath))
	if err := t.Run(ctx, fanout.Emit); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// openSinks returns a route to every sink asked for, and the sink of /metrics.
func openSinks(ctx context.Context, s *settings, log *slog.Logger) ([]export.Route, *prom.Sink, error) {
	metrics := prom.NewSink()
	routes := []export.Route{{Sink: metrics}}
	traces := otlp.Enabled(os.Getenv)
	if traces {
		sink, err := otlp.New(ctx, otlp.Config{Version: version.Version, Getenv: os.Getenv, Log: log})
		if err != nil {
			return nil, nil, err
		}
		routes = append(routes, export.Route{Sink: sink, Limits: sink.Limits()})
	}
	switch {
	case s.print == "json":
		routes = append(routes, export.Route{Sink: term.NewJSON(os.Stdout)})
	case s.print == "text", s.print == "" && !traces:
		routes = append(routes, export.Route{Sink: term.NewText(os.Stdout, term.Colour(os.Stdout, os.Getenv))})
	}
	return routes, metrics, nil
}

// openTracer attaches to the kernel and logs what it got.
func openTracer(s *settings, log *slog.Logger) (*tracer.Tracer, error) {
	config := s.tracer
	config.Log = log
	progress := newProgress(os.Stderr)
	config.Progress = progress.show
	t, err := tracer.Open(config)
	progress.clear()
	if err != nil {
		return nil, err
	}
	report := t.Report()
	log.Info("attached to the kernel", "hops", report.Source, "backend", report.Backend,
		"attached", report.Attached, "refused", len(report.Refused), "skipped", len(report.Skipped))
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

// announce creates the ready file.
func announce(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create ready file: %w", err)
	}
	return f.Close()
}
