// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"sync"
)

// heldLog is a log that keeps what is less than a warning until it is released:
// whoever starts skbpath in vain reads the reason and nothing else.
type heldLog struct {
	slog.Handler
	held *held
}

// held is what all logs derived from one keep, in the order in which it was said.
type held struct {
	mu       sync.Mutex
	released bool
	waiting  []func() error
}

func newHeldLog(h slog.Handler) heldLog { return heldLog{h, &held{}} }

func (l heldLog) Handle(ctx context.Context, r slog.Record) error {
	l.held.mu.Lock()
	defer l.held.mu.Unlock()
	if l.held.released || r.Level >= slog.LevelWarn {
		return l.Handler.Handle(ctx, r)
	}
	kept := r.Clone()
	l.held.waiting = append(l.held.waiting, func() error {
		return l.Handler.Handle(context.WithoutCancel(ctx), kept)
	})
	return nil
}

func (l heldLog) WithAttrs(attributes []slog.Attr) slog.Handler {
	return heldLog{l.Handler.WithAttrs(attributes), l.held}
}

func (l heldLog) WithGroup(name string) slog.Handler {
	return heldLog{l.Handler.WithGroup(name), l.held}
}

// release says what was kept, and keeps nothing from now on.
func (l heldLog) release() {
	l.held.mu.Lock()
	defer l.held.mu.Unlock()
	l.held.released = true
	for _, say := range l.held.waiting {
		_ = say() // as logs do
	}
	l.held.waiting = nil
}
