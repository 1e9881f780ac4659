// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// send delivers one request and accounts for its journeys.
func (s *Sink) send(journeys []*journey.Journey) {
	if len(journeys) == 0 {
		return
	}
	s.request.fill(s.forest.build(journeys))
	err := s.deliver()
	n := uint64(len(journeys))
	switch rejection := partialSuccess(err); {
	case err == nil:
	case rejection == warning:
		s.log.Warn("OTLP backend warns", "err", err)
	case rejection == rejected:
		s.rejected.Add(n)
		s.log.Error("OTLP backend rejected spans", "err", err)
	default:
		s.failed.Add(n)
		s.log.Error("cannot export traces", "err", err, "journeys", n)
	}
}

// deliver tries until the spans are taken, refused for good, or too old. The
// client retries by itself what a server asks it to retry; it does not, over
// HTTP, retry a connection that is refused.
func (s *Sink) deliver() error {
	var (
		pause   = s.settings.retryFirst
		started = time.Now()
	)
	for {
		err := s.try()
		if err == nil || !transient(err) || s.ctx.Err() != nil || s.isClosing() {
			return err
		}
		if time.Since(started)+pause > s.settings.retryFor {
			return err
		}
		s.log.Warn("OTLP endpoint does not answer, trying again", "err", err)
		s.rest(pause)
		pause = min(2*pause, s.settings.retryMost)
	}
}

func (s *Sink) try() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.settings.exportTimeout)
	defer cancel()
	return s.client.UploadTraces(ctx, s.request.resources)
}

// rest pauses, but not beyond the moment at which the sink is closed.
func (s *Sink) rest(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closing:
	case <-s.ctx.Done():
	}
}

func (s *Sink) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// transient says whether an error may pass: the endpoint cannot be reached, is
// slow, or is overloaded.
func transient(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if _, ok := errors.AsType[*url.Error](err); ok { // no HTTP answer at all
		return true
	}
	if s, ok := status.FromError(err); ok {
		switch s.Code() {
		case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted:
			return true
		}
	}
	return false
}

// answer is what a backend that took a request had to say about it.
type answer int

const (
	noAnswer answer = iota
	warning         // it took every span
	rejected        // it took some
)

// partialSuccess recognises a partial success (OTLP specification 1.x). The
// clients return it as an error whose type is internal to them, which leaves
// its text to go by.
func partialSuccess(err error) answer {
	switch {
	case err == nil || !strings.Contains(err.Error(), "OTLP partial success: "):
		return noAnswer
	case strings.Contains(err.Error(), "(0 spans rejected)"):
		return warning
	default:
		return rejected
	}
}
