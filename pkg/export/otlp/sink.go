// SPDX-License-Identifier: Apache-2.0

// Package otlp exports journeys as OpenTelemetry traces: one trace per packet,
// one span per hop and per wait.
//
// Journeys are encoded straight into OTLP's wire format and handed to the client
// that the standard OTEL_* variables describe, over gRPC or HTTP. A journey never
// is split over requests.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"

	"github.com/skbpath/skbpath/pkg/export"
	"github.com/skbpath/skbpath/pkg/export/internal/quiet"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

var errClosed = errors.New("the sink is closed")

// Config configures the sink; all else is read from the environment.
type Config struct {
	Version string // of skbpath, for the resource and the scope
	// Getenv is os.Getenv. It serves OTEL_BSP_*, the choice of the client and the
	// check of the others only: the client reads the variables of the process itself.
	Getenv func(string) string
	Log    *slog.Logger // nil discards
}

// Sink is the OTLP sink. It gathers journeys into requests and sends one request
// at a time; meanwhile Export blocks, which fills the queue of the fan-out in
// front of it.
type Sink struct {
	settings settings
	client   otlptrace.Client
	forest   forest
	request  *request
	log      *quiet.Logger

	in      chan *journey.Journey
	closing chan struct{} // closed by Close: send what is there, do not retry
	done    chan struct{} // closed when run has returned
	ctx     context.Context
	cancel  context.CancelFunc
	once    sync.Once

	failed   atomic.Uint64
	rejected atomic.Uint64
}

var _ export.Sink = (*Sink)(nil)

// New starts the sink. An endpoint that cannot be reached is no error, it is
// tried again and again; a variable that makes no sense is one.
func New(ctx context.Context, c Config) (*Sink, error) {
	s, err := settingsFrom(c.Getenv)
	if err != nil {
		return nil, err
	}
	if err := variables(c.Getenv).check(); err != nil {
		return nil, err
	}
	return open(ctx, c, s)
}

// open is New with the settings read.
func open(ctx context.Context, c Config, s settings) (*Sink, error) {
	client := variables(c.Getenv).client()
	if err := client.Start(ctx); err != nil {
		return nil, fmt.Errorf("create OTLP client: %w", err)
	}
	log := quiet.New(c.Log, quiet.DefaultInterval)
	resource, err := newResource(ctx, c.Version)
	if err != nil {
		log.Warn("resource attributes are incomplete", "err", err)
	}
	return start(s, client, newRequest(resource, c.Version), log), nil
}

func start(set settings, client otlptrace.Client, r *request, log *quiet.Logger) *Sink {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sink{
		settings: set,
		client:   client,
		request:  r,
		log:      log,
		in:       make(chan *journey.Journey),
		closing:  make(chan struct{}),
		done:     make(chan struct{}),
		ctx:      ctx,
		cancel:   cancel,
	}
	go s.run()
	return s
}

// Endpoint says where traces that the environment's variables describe go, and how: for a log.
func Endpoint(getenv func(string) string) string { return variables(getenv).endpoint() }

// Name returns "otlp".
func (s *Sink) Name() string { return "otlp" }

// Limits are the limits of the queue that belongs in front of this sink:
// OTEL_BSP_MAX_QUEUE_SIZE spans, counted as hops.
func (s *Sink) Limits() export.Limits { return s.settings.limits() }

// Export adds j to the next request. It blocks while a request is under way.
func (s *Sink) Export(ctx context.Context, j *journey.Journey) error {
	select {
	case s.in <- j:
		return nil
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Losses counts the journeys of requests that failed for good, and of requests
// of which the backend rejected some spans: it does not say which, so the
// latter is an upper bound.
func (s *Sink) Losses() []journey.Loss {
	return []journey.Loss{
		{What: "journey", Cause: "otlp_export_failed", Count: s.failed.Load()},
		{What: "journey", Cause: "otlp_partly_rejected", Count: s.rejected.Load()},
	}
}

// Close sends what is there, each request tried once, within ctx.
func (s *Sink) Close(ctx context.Context) error {
	var err error
	s.once.Do(func() {
		close(s.closing)
		select {
		case <-s.done:
		case <-ctx.Done():
			s.cancel()
			<-s.done
		}
		s.cancel()
		err = s.client.Stop(ctx)
	})
	return err
}

// run gathers journeys into requests. A request leaves when the next journey
// would make it too large, when it is full, or when it has waited long enough.
func (s *Sink) run() {
	defer close(s.done)
	var (
		pending []*journey.Journey
		spans   int
	)
	late := time.NewTimer(s.settings.delay)
	late.Stop()
	flush := func() {
		late.Stop()
		s.send(pending)
		clear(pending)
		pending, spans = pending[:0], 0
	}
	for {
		select {
		case j := <-s.in:
			n := spanCount(j)
			if spans+n > s.settings.batchSpans {
				flush()
			}
			if len(pending) == 0 {
				late.Reset(s.settings.delay)
			}
			pending, spans = append(pending, j), spans+n
			if spans >= s.settings.batchSpans {
				flush()
			}
		case <-late.C:
			flush()
		case <-s.closing:
			flush()
			return
		}
	}
}
