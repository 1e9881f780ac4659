// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// receiver is an OTLP backend in this process, over gRPC or HTTP. Each request
// is answered by answer, which may block; those taken appear on requests.
type receiver struct {
	collector.UnimplementedTraceServiceServer

	answer   func(n int) reply // n counts requests from 1
	requests chan *collector.ExportTraceServiceRequest
	calls    chan int     // one per request, before it is answered
	arrivals chan arrival // the same
	tls      *tls.Config  // nil for none

	n chan int // holds the number of requests so far
}

// arrival is how a request came.
type arrival struct {
	token, encoding string
}

// reply is what a backend answers.
type reply struct {
	code     codes.Code
	rejected int64
	message  string
}

func newReceiver(answer func(n int) reply) *receiver {
	r := &receiver{
		answer:   answer,
		requests: make(chan *collector.ExportTraceServiceRequest, 1000),
		calls:    make(chan int, 1000),
		arrivals: make(chan arrival, 1000),
		n:        make(chan int, 1),
	}
	r.n <- 0
	return r
}

func accept(int) reply { return reply{} }

// TagRPC and its siblings note how a request over gRPC came.
func (r *receiver) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (r *receiver) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (r *receiver) HandleConn(context.Context, stats.ConnStats)                       {}
func (r *receiver) HandleRPC(_ context.Context, s stats.RPCStats) {
	if h, ok := s.(*stats.InHeader); ok {
		r.arrivals <- arrival{strings.Join(h.Header.Get("x-token"), ","), h.Compression}
	}
}

func (r *receiver) Export(_ context.Context, q *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	n := <-r.n + 1
	r.n <- n
	r.calls <- n
	a := r.answer(n)
	if a.code != codes.OK {
		return nil, status.Error(a.code, a.message)
	}
	r.requests <- q
	response := &collector.ExportTraceServiceResponse{}
	if a.rejected != 0 || a.message != "" {
		response.PartialSuccess = &collector.ExportTracePartialSuccess{
			RejectedSpans: a.rejected, ErrorMessage: a.message,
		}
	}
	return response, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.arrivals <- arrival{q.Header.Get("X-Token"), q.Header.Get("Content-Encoding")}
	body, err := readBody(q)
	request := &collector.ExportTraceServiceRequest{}
	if err == nil {
		err = proto.Unmarshal(body, request)
	}
	if err != nil || q.URL.Path != "/v1/traces" {
		http.Error(w, "not a trace request", http.StatusNotFound)
		return
	}
	response, err := r.Export(q.Context(), request)
	switch status.Code(err) {
	case codes.OK:
	case codes.ResourceExhausted:
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusTooManyRequests)
		return
	case codes.Unavailable:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	default:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	encoded, err := proto.Marshal(response)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(encoded)
}

func readBody(q *http.Request) ([]byte, error) {
	if q.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(q.Body)
	}
	plain, err := gzip.NewReader(q.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

// serve answers on l by protocol until the test ends.
func (r *receiver) serve(t *testing.T, l net.Listener, protocol string) {
	t.Helper()
	if protocol == "grpc" {
		options := []grpc.ServerOption{grpc.StatsHandler(r)}
		if r.tls != nil {
			options = append(options, grpc.Creds(credentials.NewTLS(r.tls)))
		}
		s := grpc.NewServer(options...)
		collector.RegisterTraceServiceServer(s, r)
		go func() { _ = s.Serve(l) }()
		t.Cleanup(s.Stop)
		return
	}
	if r.tls != nil {
		l = tls.NewListener(l, r.tls)
	}
	s := &http.Server{Handler: r, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// spansOf returns all spans of a request.
func spansOf(q *collector.ExportTraceServiceRequest) []*tracepb.Span {
	var all []*tracepb.Span
	for _, rs := range q.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			all = append(all, ss.Spans...)
		}
	}
	return all
}
