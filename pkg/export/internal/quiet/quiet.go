// SPDX-License-Identifier: Apache-2.0

// Package quiet limits how often a recurring fault is logged: at a million
// packets a second, one line per lost journey would be worse than the loss.
package quiet

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// DefaultInterval is the least time between two lines about the same fault.
const DefaultInterval = 10 * time.Second

// Logger writes each message at most once per interval. The next line with that
// message says how many were suppressed since. Messages must come from a fixed
// set, since one entry is kept for each.
type Logger struct {
	log      *slog.Logger
	interval time.Duration
	now      func() time.Time

	mu   sync.Mutex
	seen map[string]*record
}

type record struct {
	last       time.Time
	suppressed int
}

// New returns a Logger on top of log; a nil log discards everything.
func New(log *slog.Logger, interval time.Duration) *Logger {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Logger{log: log, interval: interval, now: time.Now, seen: make(map[string]*record)}
}

// Warn logs at level warn.
func (l *Logger) Warn(message string, attributes ...any) {
	l.write(slog.LevelWarn, message, attributes)
}

// Error logs at level error.
func (l *Logger) Error(message string, attributes ...any) {
	l.write(slog.LevelError, message, attributes)
}

func (l *Logger) write(level slog.Level, message string, attributes []any) {
	suppressed, ok := l.admit(message)
	if !ok {
		return
	}
	if suppressed > 0 {
		attributes = append(attributes, "suppressed", suppressed)
	}
	l.log.Log(context.Background(), level, message, attributes...)
}

func (l *Logger) admit(message string) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	r := l.seen[message]
	if r == nil {
		l.seen[message] = &record{last: now}
		return 0, true
	}
	if now.Sub(r.last) < l.interval {
		r.suppressed++
		return 0, false
	}
	suppressed = r.suppressed
	r.last, r.suppressed = now, 0
	return suppressed, true
}
