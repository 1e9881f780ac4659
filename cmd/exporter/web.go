// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/skbpath/skbpath/pkg/export/prom"
)

// listenerSet is the sockets that /metrics is served on. Systemd's are opened
// by the toolkit.
type listenerSet []net.Listener

// listen checks the web configuration and takes the ports, so that a wrong one
// shows before anything is attached.
func listen(flags *web.FlagConfig) (listeners listenerSet, err error) {
	if err := web.Validate(*flags.WebConfigFile); err != nil {
		return nil, fmt.Errorf("--web.config.file %s: %w", *flags.WebConfigFile, err)
	}
	if flags.WebSystemdSocket != nil && *flags.WebSystemdSocket {
		return nil, nil
	}
	defer func() {
		if err != nil {
			listeners.close()
		}
	}()
	for _, address := range *flags.WebListenAddresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return listeners, fmt.Errorf("--web.listen-address %s: %w", address, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func (l listenerSet) close() {
	for _, listener := range l {
		_ = listener.Close()
	}
}

// url is where a person finds the metrics.
func (l listenerSet) url(path string) string {
	if len(l) == 0 {
		return path
	}
	host, port, err := net.SplitHostPort(l[0].Addr().String())
	if err != nil {
		return path
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + path
}

// serve answers requests until the function it returns is called. A server that
// ends before calls fail.
func serve(s *settings, listeners listenerSet, collector *prom.Collector, log *slog.Logger, fail context.CancelCauseFunc) (stop func(), err error) {
	handler, err := pages(s.telemetryPath, collector, log)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		var err error
		if len(listeners) > 0 {
			err = web.ServeMultiple(listeners, server, s.web, log)
		} else {
			err = web.ListenAndServe(server, s.web, log)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve metrics: %w", err))
		}
	}()
	return func() { _ = server.Close() }, nil
}

func pages(telemetryPath string, collector *prom.Collector, log *slog.Logger) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector, prom.BuildInfo(),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	landing, err := web.NewLandingPage(web.LandingConfig{
		Name:        "skbpath",
		Description: "Packet journeys through the Linux kernel",
		Version:     version.Info(),
		Profiling:   "false",
		Links:       []web.LandingLinks{{Address: telemetryPath, Text: "Metrics"}},
	})
	if err != nil {
		return nil, fmt.Errorf("make landing page: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", landing)
	mux.Handle(telemetryPath, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry:          registry,
		EnableOpenMetrics: true,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:     promhttp.ContinueOnError,
	}))
	return mux, nil
}
