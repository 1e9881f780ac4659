// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is a Prometheus on this machine, with the repository's rules.
type server struct {
	program, promtool string
	dir               string
	address           string
}

// newServer prepares a Prometheus that scrapes the targets every second.
func newServer(t *testing.T, program, promtool string, targets ...string) *server {
	t.Helper()
	p := &server{program: program, promtool: promtool, dir: t.TempDir(), address: closedPort(t)}
	config := strings.NewReplacer(
		"scrape_interval: 15s", "scrape_interval: 1s", "evaluation_interval: 15s", "evaluation_interval: 1s",
		"[skbpath:10199]", "['"+strings.Join(targets, "', '")+"']",
	).Replace(readText(t, dashboardsDir, "prometheus", "prometheus.yml"))
	if err := os.WriteFile(p.config(), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	copyRules(t, p.dir)
	return p
}

func (p *server) config() string { return filepath.Join(p.dir, "prometheus.yml") }
func (p *server) data() string   { return filepath.Join(p.dir, "data") }

// start runs it, with more features than all need, until the test ends, or until
// stop is called.
func (p *server) start(t *testing.T, features ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, p.program, "--config.file="+p.config(), "--storage.tsdb.path="+p.data(),
		"--web.listen-address="+p.address, "--enable-feature="+strings.Join(append(features, "exemplar-storage"), ","), "--log.level=warn")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		_ = cmd.Wait() // it says that it was told to end
		if t.Failed() {
			t.Logf("Prometheus says:\n%s", log.String())
		}
	}
	t.Cleanup(stop)
	await(t, time.Now().Add(30*time.Second), "Prometheus", func() error { return p.ready(t) })
	return stop
}

func (p *server) ready(t *testing.T) error {
	answer, err := p.fetch(t, "/-/ready", nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", answer.Status)
	}
	return nil
}

// remember puts a past into the database: samples in the format of OpenMetrics,
// and what the recording rules would have made of them.
func (p *server) remember(t *testing.T, past *past) {
	t.Helper()
	file := filepath.Join(p.dir, "past.txt")
	if err := os.WriteFile(file, past.text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	p.backfill(t, "create-blocks-from", "openmetrics", file, p.data())
	stop := p.start(t)
	recorded := filepath.Join(p.dir, "recorded")
	p.backfill(t, "create-blocks-from", "rules", "--url=http://"+p.address, "--output-dir="+recorded,
		"--start="+unix(past.start), "--end="+unix(past.end), filepath.Join(p.dir, "recording.yml"))
	stop()
	blocks, err := filepath.Glob(filepath.Join(recorded, "*"))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("no blocks from the recording rules (%v)", err)
	}
	for _, block := range blocks {
		if err := os.Rename(block, filepath.Join(p.data(), filepath.Base(block))); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *server) backfill(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.promtool, append([]string{"tsdb"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("promtool tsdb %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// ask runs an expression, and get asks for something else of the API.
func (p *server) ask(t *testing.T, what, expression string, samples *[]sample) error {
	var data struct{ Result json.RawMessage }
	if err := p.decode(t, what, url.Values{"query": {expression}}, &data); err != nil {
		return fmt.Errorf("%w: %s", err, expression)
	}
	return json.Unmarshal(data.Result, samples)
}

func (p *server) get(t *testing.T, what string, data any) error {
	return p.decode(t, what, nil, data)
}

func (p *server) decode(t *testing.T, what string, form url.Values, data any) error {
	answer, err := p.fetch(t, "/api/v1/"+what, form)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return readAnswer(answer.Body, data)
}

func (p *server) fetch(t *testing.T, path string, form url.Values) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+path+"?"+form.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(request)
}
