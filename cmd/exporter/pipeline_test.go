// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/pkg/export/profile"
	"github.com/skbpath/skbpath/pkg/export/prom"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// TestSinks: what takes journeys is what was asked for; exemplars go with traces.
func TestSinks(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, test := range []struct {
		print, endpoint string
		want            []string
	}{
		{"none", "", []string{"profile"}},
		{"text", "", []string{"profile", "print"}},
		{"json", "", []string{"profile", "print"}},
		{"none", "http://127.0.0.1:1", []string{"profile", "otlp", "exemplars"}},
		{"json", "http://127.0.0.1:1", []string{"profile", "otlp", "exemplars", "print"}},
	} {
		t.Setenv(endpoint, test.endpoint)
		s, err := parse([]string{"--print=" + test.print}, new(bytes.Buffer))
		if err != nil {
			t.Fatal(err)
		}
		all, err := openSinks(t.Context(), s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range all.routes {
			names = append(names, r.Sink.Name())
			if err := r.Sink.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(names, test.want) || (all.exemplars != nil) != (test.endpoint != "") {
			t.Errorf("%+v: %v, exemplars %t", test, names, all.exemplars != nil)
		}
	}
}

// nothing is a tracer that has seen nothing.
type nothing struct{}

func (nothing) Drops() ([]journey.DropCount, error)         { return nil, nil }
func (nothing) Functions() ([]journey.FunctionCount, error) { return nil, nil }
func (nothing) Waits() ([]journey.WaitCount, error)         { return nil, nil }
func (nothing) Outcomes() ([]journey.OutcomeCount, error)   { return nil, nil }
func (nothing) Losses() []journey.Loss                      { return nil }
func (nothing) Probes() []journey.ProbeCount                { return nil }

// TestPages: what needs the kernel half is not there before it is attached.
func TestPages(t *testing.T) {
	w := newSite(slog.New(slog.DiscardHandler))
	handler, err := w.pages("/metrics", profile.NewSink(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	check := func(want map[string]string) {
		t.Helper()
		for path, want := range want {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
			if got := fmt.Sprint(answer.Code, " ", answer.Body.String()); !strings.HasPrefix(got, want[:3]) || !strings.Contains(got, want[4:]) {
				t.Errorf("%s: %s\nwant %s", path, got, want)
			}
		}
	}
	check(map[string]string{
		"/": `200 href="/debug/packets/profile"`, healthyPath: "200 healthy",
		readyPath: "503 attaching", "/metrics": "503 attaching", profile.Path: "503 attaching",
	})
	w.open(prom.NewCollector(prom.Config{Kernel: nothing{}}))
	check(map[string]string{
		"/": `200 href="/metrics"`, healthyPath: "200 healthy", readyPath: "200 ready",
		"/metrics": `200 skbpath_lost_total{cause="read_failed",what="series"} 0`, profile.Path + "?seconds=x": "400 whole number",
	})
}

// TestServe: an answer comes before anything is attached, and none after.
func TestServe(t *testing.T) {
	s, err := parse([]string{"--web.listen-address=127.0.0.1:0"}, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := listen(s.web)
	if err != nil {
		t.Fatal(err)
	}
	ctx, fail := context.WithCancelCause(t.Context())
	w, err := serve(s, listeners, profile.NewSink(), slog.New(slog.DiscardHandler), fail)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusOK} {
		answer, err := http.Get(listeners.url("/metrics"))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s, want %d", answer.Status, want)
		}
		if want != http.StatusOK {
			w.open(prom.NewCollector(prom.Config{Kernel: nothing{}}))
		}
	}
	w.close()
	w.close() // as at the end of trace
	if answer, err := http.Get(listeners.url(healthyPath)); err == nil {
		answer.Body.Close()
		t.Errorf("%s from a server that is closed", answer.Status)
	}
	if ctx.Err() != nil {
		t.Errorf("the end of the server is taken for a failure: %v", context.Cause(ctx))
	}
}

func TestUnstampedBuildHasAVersion(t *testing.T) {
	if got := buildVersion(); got == "" || strings.ContainsAny(got, "()") {
		t.Errorf("version %q", got)
	}
}
