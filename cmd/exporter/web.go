// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/mdlayher/vsock"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2"

	"github.com/skbpath/skbpath/pkg/export/profile"
	"github.com/skbpath/skbpath/pkg/export/prom"
	"github.com/skbpath/skbpath/pkg/tracer"
)

// listenerSet is the sockets that /metrics is served on.
type listenerSet struct {
	sockets []net.Listener
	scheme  string // http or https
}

// listen checks the web configuration and takes the ports, so that a wrong one
// shows before anything is attached.
func listen(flags *web.FlagConfig) (set listenerSet, err error) {
	if set.scheme, err = scheme(*flags.WebConfigFile); err != nil {
		return set, &tracer.UsageError{Err: fmt.Errorf("--web.config.file %s: %w", *flags.WebConfigFile, err)}
	}
	if flags.WebSystemdSocket != nil && *flags.WebSystemdSocket {
		set.sockets, err = activation.Listeners()
		set.sockets = slices.DeleteFunc(set.sockets, func(l net.Listener) bool { return l == nil }) // of datagrams
		if err == nil && len(set.sockets) == 0 {
			err = &tracer.UsageError{Err: errors.New("--web.systemd-socket: systemd has passed no socket")}
		}
		return set, err
	}
	defer func() {
		if err != nil {
			set.close()
		}
	}()
	for _, address := range *flags.WebListenAddresses {
		l, err := listenAt(address)
		if err != nil {
			return set, badAddress(address, err)
		}
		set.sockets = append(set.sockets, l)
	}
	return set, nil
}

// badAddress is a usage error unless the kernel has refused the address.
func badAddress(address string, err error) error {
	err = fmt.Errorf("--web.listen-address %s: %w", address, err)
	if _, refused := errors.AsType[syscall.Errno](err); refused {
		return err
	}
	return &tracer.UsageError{Err: err}
}

// scheme checks the web configuration, and is how the toolkit will serve by it.
func scheme(configFile string) (string, error) {
	if configFile == "" {
		return "http", nil
	}
	if err := web.Validate(configFile); err != nil {
		return "", err
	}
	text, err := os.ReadFile(configFile)
	if err != nil {
		return "", err
	}
	var config web.Config
	if err := yaml.Unmarshal(text, &config); err != nil {
		return "", err
	}
	if config.TLSConfig.IsEnabled() {
		return "https", nil
	}
	return "http", nil
}

// vsockPrefix begins the address of a port that a virtual machine's host can reach.
const vsockPrefix = "vsock://"

// listenAt takes a port as the toolkit would: its own way to serve opens sockets
// only once there is a server.
func listenAt(address string) (net.Listener, error) {
	if address == "" { // any port, to Go
		return nil, errors.New("no address, such as :10199")
	}
	if !strings.HasPrefix(address, vsockPrefix) {
		return net.Listen("tcp", address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(u.Port(), 10, 32)
	if err != nil || u.Hostname() != "" {
		return nil, errors.New("not a port alone, as in vsock://:10199")
	}
	return vsock.Listen(uint32(port), nil)
}

func (l listenerSet) close() {
	for _, socket := range l.sockets {
		_ = socket.Close()
	}
}

// url is where a person finds the metrics.
func (l listenerSet) url(path string) string {
	first := l.sockets[0].Addr()
	if v, ok := first.(*vsock.Addr); ok {
		return fmt.Sprintf("%s%d:%d%s", vsockPrefix, v.ContextID, v.Port, path)
	}
	host, port, err := net.SplitHostPort(first.String())
	if err != nil {
		return path
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return l.scheme + "://" + net.JoinHostPort(host, port) + path
}

// Paths by which an orchestrator asks, as Prometheus has them.
const (
	healthyPath = "/-/healthy"
	readyPath   = "/-/ready"
)

// site is the web server. Attaching takes seconds: until then it says that it
// has nothing to show yet.
type site struct {
	server   *http.Server
	registry *prometheus.Registry
	ready    atomic.Bool
	log      heldLog // of the server: until then it has nothing to say either
}

// serve answers requests until the site is closed. A server that ends before
// calls fail.
func serve(s *settings, listeners listenerSet, packets http.Handler, log *slog.Logger, fail context.CancelCauseFunc) (*site, error) {
	w := newSite(log)
	handler, err := w.pages(s.telemetryPath, packets, log)
	if err != nil {
		return nil, err
	}
	w.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), // what went wrong with a connection
	}
	go func() {
		err := web.ServeMultiple(listeners.sockets, w.server, s.web, slog.New(w.log))
		if !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve metrics: %w", err))
		}
	}()
	return w, nil
}

func newSite(log *slog.Logger) *site {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		prom.BuildInfo(),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return &site{registry: registry, log: newHeldLog(log.Handler())}
}

// open shows what there is to show from now on.
func (w *site) open(collector prometheus.Collector) {
	w.registry.MustRegister(collector)
	w.ready.Store(true)
	w.log.release()
}

func (w *site) close() { _ = w.server.Close() }

func (w *site) pages(telemetryPath string, packets http.Handler, log *slog.Logger) (http.Handler, error) {
	landing, err := web.NewLandingPage(web.LandingConfig{
		Name:        "skbpath",
		Description: "Packet journeys through the Linux kernel",
		Version:     version.Info(),
		Profiling:   "false",
		Links: []web.LandingLinks{
			{Address: telemetryPath, Text: "Metrics"},
			{
				Address: profile.Path, Text: "Packet profile",
				Description: "where packets spend their time, for go tool pprof; records for ten seconds, or ?seconds=N",
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make landing page: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", landing)
	mux.Handle(healthyPath, say("skbpath is healthy."))
	mux.Handle(readyPath, w.whenReady(say("skbpath is ready.")))
	mux.Handle(profile.Path, w.whenReady(packets))
	mux.Handle(telemetryPath, w.whenReady(promhttp.HandlerFor(w.registry, promhttp.HandlerOpts{
		Registry:          w.registry,
		EnableOpenMetrics: true, // exemplars need it
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:     promhttp.ContinueOnError,
	})))
	return mux, nil
}

func (w *site) whenReady(page http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if !w.ready.Load() {
			http.Error(answer, "skbpath is not ready: it is attaching to the kernel.", http.StatusServiceUnavailable)
			return
		}
		page.ServeHTTP(answer, request)
	})
}

func say(text string) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(answer, text) })
}
