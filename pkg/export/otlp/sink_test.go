// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"

	"github.com/skbpath/skbpath/pkg/export"
	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/export/internal/quiet"
)

// eachProtocol runs a test over gRPC and over HTTP.
func eachProtocol(t *testing.T, test func(t *testing.T, protocol string)) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) { test(t, protocol) })
	}
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// connect starts a sink that reads its target from the environment, as users
// set it.
func connect(t *testing.T, protocol, address string, change func(*settings)) (*Sink, *logBuffer) {
	t.Helper()
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT":    "http://" + address,
		"OTEL_EXPORTER_OTLP_PROTOCOL":    protocol,
		"OTEL_BSP_SCHEDULE_DELAY":        "10",
		"OTEL_RESOURCE_ATTRIBUTES":       "deployment.environment.name=test",
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20",
	} {
		t.Setenv(name, value)
	}
	if !Enabled(os.Getenv) {
		t.Fatal("not enabled")
	}
	log := &logBuffer{}
	set, err := settingsFrom(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&set)
	}
	s, err := open(t.Context(), Config{
		Version: "1.2.3", Getenv: os.Getenv, Log: slog.New(slog.NewTextHandler(log, nil)),
	}, set)
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}

func impatient(s *settings) {
	s.retryFirst, s.retryMost = time.Millisecond, 20*time.Millisecond
}

func loss(s *Sink, cause string) uint64 {
	for _, l := range s.Losses() {
		if l.Cause == cause {
			return l.Count
		}
	}
	return 0
}

func TestJourneysArriveOverTheWire(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := newReceiver(accept)
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		s, _ := connect(t, protocol, l.Addr().String(), nil)
		if err := s.Export(t.Context(), exporttest.NftDrop()); err != nil {
			t.Fatal(err)
		}
		q := <-r.requests // leaves by the delay
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkResource(t, q)
		spans := spansOf(q)
		if len(spans) != 4 {
			t.Fatalf("%d spans, want 4", len(spans))
		}
		root := spans[0]
		if root.Name != "icmp packet" || root.Status.Code != tracepb.Status_STATUS_CODE_ERROR ||
			root.Kind != tracepb.Span_SPAN_KIND_INTERNAL || len(root.ParentSpanId) != 0 {
			t.Errorf("root is %v", root)
		}
		for _, span := range spans {
			if span.TraceState != "ot=th:0" { // kept for certain
				t.Errorf("%s: tracestate %q", span.Name, span.TraceState)
			}
		}
		if root.Flags != 0x103 { // sampled, random, and: it is known whether the parent is remote
			t.Errorf("flags %#x", root.Flags)
		}
		if !bytes.Equal(spans[1].ParentSpanId, root.SpanId) || !bytes.Equal(spans[2].ParentSpanId, spans[1].SpanId) {
			t.Error("the tree lost its shape")
		}
	})
}

func checkResource(t *testing.T, q *collector.ExportTraceServiceRequest) {
	t.Helper()
	got := make(map[string]string)
	for _, kv := range q.ResourceSpans[0].Resource.Attributes {
		got[kv.Key] = kv.Value.GetStringValue()
	}
	for key, want := range map[string]string{
		"service.name": "skbpath", "service.version": "1.2.3", "os.type": "linux",
		"deployment.environment.name": "test",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	for _, key := range []string{"host.name", "os.description", "service.instance.id", "skbpath.kernel.release", "ip"} {
		if got[key] == "" {
			t.Errorf("no %s: resource is %v", key, got)
		}
	}
	scope := q.ResourceSpans[0].ScopeSpans[0]
	if scope.Scope.Name != scopeName || scope.Scope.Version != "1.2.3" || scope.SchemaUrl == "" {
		t.Errorf("scope is %v, schema %q", scope.Scope, scope.SchemaUrl)
	}
}

func TestServiceNameFromEnvironment(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "edge-router")
	r := newReceiver(accept)
	l := listen(t, "127.0.0.1:0")
	r.serve(t, l, "http/protobuf")
	s, _ := connect(t, "http/protobuf", l.Addr().String(), nil)
	if err := s.Export(t.Context(), exporttest.Bare()); err != nil {
		t.Fatal(err)
	}
	for _, kv := range (<-r.requests).ResourceSpans[0].Resource.Attributes {
		if kv.Key == "service.name" && kv.Value.GetStringValue() != "edge-router" {
			t.Errorf("service.name is %q", kv.Value.GetStringValue())
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestJourneysAreNeverSplit(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := newReceiver(accept)
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		s, _ := connect(t, protocol, l.Addr().String(), func(s *settings) { s.delay = time.Hour })
		const journeys = 25
		for i := range journeys {
			j := exporttest.Long(1+i*3%40, 10) // up to twice the batch size
			j.ID, j.TraceID[0] = uint64(i+1), byte(i)
			if err := s.Export(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(t.Context()); err != nil { // flushes the last one
			t.Fatal(err)
		}
		close(r.requests)
		seen := make(map[byte]int)
		for q := range r.requests {
			spans := spansOf(q)
			here := make(map[byte]int)
			for _, span := range spans {
				here[span.TraceId[0]]++
			}
			if len(here) > 1 && len(spans) > 20 {
				t.Errorf("a request of %d journeys has %d spans", len(here), len(spans))
			}
			for id, n := range here {
				if seen[id] != 0 {
					t.Errorf("journey %d came in two requests", id)
				}
				seen[id] = n
			}
		}
		for i := range journeys {
			if want := 1 + 1 + i*3%40; seen[byte(i)] != want {
				t.Errorf("journey %d: %d spans, want %d", i, seen[byte(i)], want)
			}
		}
	})
}

func TestEndpointDownThenUp(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		l := listen(t, "127.0.0.1:0")
		address := l.Addr().String()
		l.Close() // nothing answers here

		tries := make(chan struct{}, 10000)
		s, log := connect(t, protocol, address, impatient)
		s.client = &observed{Client: s.client, done: tries}
		if err := s.Export(t.Context(), exporttest.Ping()); err != nil {
			t.Fatal(err)
		}
		if protocol == "http/protobuf" { // the gRPC client keeps trying by itself
			<-tries
			<-tries
		}
		r := newReceiver(accept)
		r.serve(t, listen(t, address), protocol)
		if got := len(spansOf(<-r.requests)); got != spanCount(exporttest.Ping()) {
			t.Errorf("%d spans arrived", got)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := loss(s, "otlp_export_failed"); got != 0 {
			t.Errorf("%d journeys lost", got)
		}
		if protocol == "http/protobuf" && strings.Count(log.String(), "does not answer") != 1 {
			t.Errorf("log is not limited:\n%s", log)
		}
	})
}

// observed announces the end of each upload.
type observed struct {
	otlptrace.Client
	done chan struct{}
}

func (o *observed) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	err := o.Client.UploadTraces(ctx, spans)
	o.done <- struct{}{}
	return err
}

func TestCloseWhileEndpointIsDown(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		l := listen(t, "127.0.0.1:0")
		address := l.Addr().String()
		l.Close()
		s, _ := connect(t, protocol, address, func(s *settings) { s.retryFirst = time.Hour; s.retryFor = 9 * time.Hour })
		if err := s.Export(t.Context(), exporttest.Ping()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_ = s.Close(ctx) // whether time was up depends on the exporter
		if got := loss(s, "otlp_export_failed"); got != 1 {
			t.Errorf("%d journeys counted as lost, want 1", got)
		}
		if err := s.Export(t.Context(), exporttest.Ping()); err == nil {
			t.Error("Export after Close succeeds")
		}
	})
}

func TestBackendRefuses(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := newReceiver(func(n int) reply {
			if n == 1 {
				return reply{code: codes.InvalidArgument, message: "no such tenant"}
			}
			return reply{}
		})
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		s, log := connect(t, protocol, l.Addr().String(), func(s *settings) { s.batchSpans = 1 })
		for range 3 {
			if err := s.Export(t.Context(), exporttest.Ping()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := loss(s, "otlp_export_failed"); got != 1 {
			t.Errorf("%d journeys lost, want 1", got)
		}
		if len(r.requests) != 2 || len(r.calls) != 3 {
			t.Errorf("%d requests taken of %d", len(r.requests), len(r.calls))
		}
		if !strings.Contains(log.String(), "no such tenant") {
			t.Errorf("the log does not say why:\n%s", log)
		}
	})
}

func TestPartialSuccess(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := newReceiver(func(n int) reply {
			if n == 1 {
				return reply{message: "deprecated field"}
			}
			return reply{rejected: 3, message: "too old"}
		})
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		s, log := connect(t, protocol, l.Addr().String(), func(s *settings) { s.batchSpans = 1 })
		for range 2 {
			if err := s.Export(t.Context(), exporttest.Ping()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := loss(s, "otlp_partly_rejected"); got != 1 {
			t.Errorf("%d journeys partly rejected, want 1", got)
		}
		if got := loss(s, "otlp_export_failed"); got != 0 {
			t.Errorf("%d journeys failed, want 0", got)
		}
		for _, want := range []string{"deprecated field", "too old"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%q is not in the log:\n%s", want, log)
			}
		}
	})
}

// TestSlowBackend checks, through the fan-out, that a backend which does not
// answer costs whole journeys, counted, and no time of the caller.
func TestSlowBackend(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		release := make(chan struct{})
		r := newReceiver(func(int) reply { <-release; return reply{} })
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		s, _ := connect(t, protocol, l.Addr().String(), func(s *settings) { s.batchSpans = 1 })
		f := export.NewFanout(nil, export.Route{Sink: s, Limits: export.Limits{Journeys: 3}})
		f.Emit(exporttest.Ping())
		<-r.calls // the first request is under way
		const more = 20
		for range more {
			f.Emit(exporttest.Ping())
		}
		close(release)
		if err := f.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var lost uint64
		for _, l := range f.Losses() {
			if l.Cause == "otlp_queue_full" {
				lost = l.Count
			} else if l.Count != 0 {
				t.Errorf("lost %v", l)
			}
		}
		// One is in the sink's hands and three are queued.
		if lost < more-4 || int(lost)+len(r.requests) != more+1 {
			t.Errorf("%d lost, %d arrived", lost, len(r.requests))
		}
	})
}

// dead is a client whose uploads fail.
type dead struct {
	otlptrace.Client
	err   error
	calls int
}

func (d *dead) UploadTraces(context.Context, []*tracepb.ResourceSpans) error {
	d.calls++
	return d.err
}

func (d *dead) Stop(context.Context) error { return nil }

func TestRequestIsGivenUpInTime(t *testing.T) {
	c := &dead{err: fmt.Errorf("dial: %w", context.DeadlineExceeded)}
	set := settings{
		batchSpans: 1, delay: time.Hour, exportTimeout: time.Second,
		retryFirst: time.Nanosecond, retryMost: time.Nanosecond, retryFor: 0,
	}
	s := start(set, c, newRequest(resource.Empty(), ""), quiet.New(nil, time.Hour))
	if err := s.Export(t.Context(), exporttest.Ping()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.calls != 1 || loss(s, "otlp_export_failed") != 1 {
		t.Errorf("%d calls, %v", c.calls, s.Losses())
	}
}

func TestHostileNamesAreExported(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := newReceiver(accept)
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		s, log := connect(t, protocol, l.Addr().String(), nil)
		for _, n := range exporttest.Journeys() {
			if err := s.Export(t.Context(), n.Journey); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := loss(s, "otlp_export_failed"); got != 0 {
			t.Errorf("%d journeys lost:\n%s", got, log)
		}
	})
}

func TestVariablesThatMakeNoSense(t *testing.T) {
	for _, env := range [][3]string{
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon", "is neither grpc nor http/protobuf"},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "is neither grpc nor http/protobuf"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "is not a URL"},
		{"OTEL_TRACES_EXPORTER", "nonesuch", "is neither otlp nor none"},
		{"OTEL_TRACES_EXPORTER", "console", "--print=json"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "xx", "is not a whole number"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a", "is not HEADER=VALUE"},
		{"OTEL_RESOURCE_ATTRIBUTES", "foo", "is not KEY=VALUE"},
		{"OTEL_BSP_SCHEDULE_DELAY", "soon", "is not a whole number"},
	} {
		t.Run(env[0]+"="+env[1], func(t *testing.T) {
			t.Setenv(env[0], env[1])
			_, err := New(t.Context(), Config{Getenv: os.Getenv})
			if err == nil || !strings.Contains(err.Error(), env[0]) || !strings.Contains(err.Error(), env[2]) {
				t.Errorf("%v, want %q", err, env[2])
			}
		})
	}
}
