// SPDX-License-Identifier: Apache-2.0

package quiet

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestOneLinePerInterval(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	l := New(slog.New(slog.NewTextHandler(&out, nil)), time.Second)
	l.now = func() time.Time { return now }

	for range 5 {
		l.Warn("queue full", "sink", "otlp")
	}
	l.Error("other fault")
	now = now.Add(time.Second)
	l.Warn("queue full", "sink", "otlp")

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3:\n%s", len(lines), out.String())
	}
	for i, want := range []string{`msg="queue full" sink=otlp`, `level=ERROR msg="other fault"`, "suppressed=4"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %q, want %q in it", i, lines[i], want)
		}
	}
}

func TestNilLoggerDiscards(*testing.T) {
	New(nil, time.Second).Error("nowhere to go")
}
