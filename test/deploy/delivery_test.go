// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/skbpath/skbpath/pkg/export/otlp"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// patience is for anything that takes a moment.
const patience = 20 * time.Second

// backend is what a Collector in this process hands its traces to. Like any
// backend, it answers each with an error or none, now or later.
type backend struct {
	consume func(ctx context.Context, n int) error // n counts from 1
	calls   atomic.Int64
	spans   chan []string
}

// Start, Shutdown and Capabilities make it a component.
func (b *backend) Start(context.Context, component.Host) error { return nil }
func (b *backend) Shutdown(context.Context) error              { return nil }
func (b *backend) Capabilities() consumer.Capabilities         { return consumer.Capabilities{} }

// ConsumeTraces keeps the names of what it takes.
func (b *backend) ConsumeTraces(ctx context.Context, all ptrace.Traces) error {
	if err := b.consume(ctx, int(b.calls.Add(1))); err != nil {
		return err
	}
	var names []string
	for _, resource := range all.ResourceSpans().All() {
		for _, scope := range resource.ScopeSpans().All() {
			for _, span := range scope.Spans().All() {
				names = append(names, span.Name())
			}
		}
	}
	b.spans <- names
	return nil
}

func (b *backend) factories() (otelcol.Factories, error) {
	f, err := factories()
	kind := component.MustNewType("backend")
	f.Exporters[kind] = exporter.NewFactory(kind, func() component.Config { return &struct{}{} },
		exporter.WithTraces(func(context.Context, exporter.Settings, component.Config) (exporter.Traces, error) {
			return b, nil
		}, component.StabilityLevelStable))
	return f, err
}

// collector is how a Collector listens.
type collector struct {
	protocol, address string
	certificate, key  string // files, "" without TLS
}

func (c *collector) endpoint() string {
	if c.certificate == "" {
		return "http://" + c.address
	}
	return "https://" + c.address
}

func (c *collector) config(t *testing.T) string {
	t.Helper()
	tls := ""
	if c.certificate != "" {
		tls = fmt.Sprintf(", tls: {cert_file: %q, key_file: %q}", c.certificate, c.key)
	}
	file := filepath.Join(t.TempDir(), "collector.yml")
	text := fmt.Sprintf("receivers: {otlp: {protocols: {%s: {endpoint: %q%s}}}}\nexporters: {backend: {}}\n"+
		"service:\n  telemetry: {metrics: {level: none}, logs: {level: error}}\n  pipelines: {traces: {receivers: [otlp], exporters: [backend]}}\n",
		c.protocol, c.address, tls)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// run has it answer until the test ends. It sets the logger of all gRPC in this
// process, which the race detector does not like.
func (c *collector) run(t *testing.T, b *backend) {
	t.Helper()
	service, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo: component.NewDefaultBuildInfo(), Factories: b.factories, DisableGracefulShutdown: true,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs:              []string{"file:" + c.config(t)},
			ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		service.Shutdown()
		if err := <-ended; err != nil {
			t.Errorf("the Collector: %v", err)
		}
	})
}

// newCollector has a free port, and a certificate of its own with TLS.
func newCollector(t *testing.T, protocol string, encrypted bool) *collector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &collector{protocol: protocol, address: l.Addr().String()}
	if encrypted {
		c.certificate, c.key = certify(t)
	}
	return c
}

func certify(t *testing.T) (certificate, key string) {
	t.Helper()
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	private, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: server.Certificate().Raw}, "key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

// export sends a journey as skbpath does where the environment says so, with so long for
// an answer.
func (c *collector) export(t *testing.T, timeout time.Duration) *otlp.Sink {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", map[string]string{"grpc": "grpc", "http": "http/protobuf"}[c.protocol])
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.endpoint())
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", c.certificate)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", strconv.FormatInt(timeout.Milliseconds(), 10))
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "0")
	sink, err := otlp.New(t.Context(), otlp.Config{Version: "test", Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sink.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	err = sink.Export(t.Context(), &journey.Journey{
		TraceID: journey.TraceID{1}, ID: 1, Start: time.Now(), Duration: time.Microsecond, Outcome: journey.Consumed,
		Flow: journey.Flow{NetworkType: "ipv4", Transport: "icmp"},
		Hops: []journey.Hop{{Parent: -1, Function: "ip_rcv", Duration: time.Microsecond}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

func (b *backend) await(t *testing.T) {
	t.Helper()
	select {
	case names := <-b.spans:
		if want := []string{"icmp packet", "ip_rcv"}; !slices.Equal(names, want) {
			t.Errorf("spans %q arrived, want %q", names, want)
		}
	case <-time.After(patience):
		t.Fatal("nothing arrived")
	}
}

// lost counts journeys that were given up.
func lost(s *otlp.Sink) (n uint64) {
	for _, loss := range s.Losses() {
		n += loss.Count
	}
	return n
}

// TestCollectorTakesJourneys: a real Collector, whatever befalls it, gets what
// skbpath sends. Its receiver knows no partial success: pkg/export/otlp has that.
func TestCollectorTakesJourneys(t *testing.T) {
	stuck := func(ctx context.Context, n int) error {
		if n > 1 {
			return nil
		}
		<-ctx.Done() // longer than skbpath waits
		return ctx.Err()
	}
	for name, consume := range map[string]func(context.Context, int) error{
		"at once": func(context.Context, int) error { return nil },
		"slow":    stuck,
		"with errors at first": func(_ context.Context, n int) error {
			if n > 1 {
				return nil
			}
			return errors.New("try again")
		},
	} {
		for _, protocol := range []string{"grpc", "http"} {
			for _, encrypted := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, TLS %t", name, protocol, encrypted), func(t *testing.T) {
					b := &backend{consume: consume, spans: make(chan []string, 1)}
					c := newCollector(t, protocol, encrypted)
					c.run(t, b)
					sink := c.export(t, time.Second/2)
					b.await(t)
					if n := lost(sink); n != 0 {
						t.Errorf("%d journeys are lost", n)
					}
				})
			}
		}
	}
}

// TestCollectorComesLate: what was sent while it was down arrives.
func TestCollectorComesLate(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			b := &backend{consume: func(context.Context, int) error { return nil }, spans: make(chan []string, 1)}
			c := newCollector(t, protocol, false)
			sink := c.export(t, time.Second/2)
			c.run(t, b)
			b.await(t)
			if n := lost(sink); n != 0 {
				t.Errorf("%d journeys are lost", n)
			}
		})
	}
}

// TestCollectorRefuses: what it never will take is not sent again, but counted.
func TestCollectorRefuses(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			b := &backend{consume: func(context.Context, int) error { return consumererror.NewPermanent(errors.New("no")) }}
			c := newCollector(t, protocol, false)
			c.run(t, b)
			sink := c.export(t, patience)
			again := time.NewTicker(10 * time.Millisecond)
			defer again.Stop()
			for end := time.Now().Add(patience); lost(sink) == 0 && time.Now().Before(end); {
				<-again.C
			}
			if n, calls := lost(sink), b.calls.Load(); n != 1 || calls != 1 {
				t.Errorf("%d journeys are lost in %d calls, want 1 in 1", n, calls)
			}
		})
	}
}
