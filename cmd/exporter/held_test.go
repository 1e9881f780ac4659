// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"strings"
	"testing"
)

func TestHeldLog(t *testing.T) {
	var out strings.Builder
	plain := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	h := newHeldLog(plain)
	log := slog.New(h)
	log.Info("first")
	log.With("port", 1).Info("second")
	log.WithGroup("g").Error("at once", "a", 2)
	log.Debug("not at this level")
	const before = "level=ERROR msg=\"at once\" g.a=2\n"
	if out.String() != before {
		t.Errorf("before the release: %q", out.String())
	}
	h.release()
	log.Info("third")
	const after = before + "level=INFO msg=first\nlevel=INFO msg=second port=1\nlevel=INFO msg=third\n"
	if out.String() != after {
		t.Errorf("after: %q, want %q", out.String(), after)
	}
}
