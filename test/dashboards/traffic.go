// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/skbpath/skbpath/pkg/export/prom"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// Traffic is what a host that never was would have seen: the collector is
// skbpath's own, only what the kernel half counts is made up, and the journeys.
type Traffic struct {
	kernel    kernel
	lost      []journey.Loss // of the sinks
	exemplars *prom.Exemplars
	begun     time.Time
	journeys  uint64
}

// NewTraffic returns a host that has seen nothing yet.
func NewTraffic() *Traffic {
	return &Traffic{
		kernel: kernel{losses: []journey.Loss{
			{What: "journey", Cause: "ring_full"}, {What: "journey", Cause: "rate_limit"}, {What: "hop", Cause: "missed"},
		}},
		lost:      []journey.Loss{{What: "journey", Cause: "otlp_queue_full"}},
		exemplars: prom.NewExemplars(),
		begun:     time.Now(),
	}
}

// Registry exports it as cmd/exporter does.
func (t *Traffic) Registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		prom.NewCollector(prom.Config{
			Kernel: &t.kernel, Loaded: t.begun, Exemplars: t.exemplars,
			Losses: func() []journey.Loss { return t.lost },
			Fill:   func() map[string]float64 { return map[string]float64{"otlp": 1} },
		}),
		prom.BuildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// Pass lets n packets of each kind come by, each as slow as pace says of the
// function ip_rcv; queues are as much slower.
func (t *Traffic) Pass(n uint64, pace time.Duration) {
	for _, p := range packets() {
		wait := 100 * pace
		t.kernel.visit(n, "ip_rcv", pace)
		t.kernel.visit(n, p.from, pace/2)
		t.kernel.visit(n, p.to, pace)
		t.kernel.wait(n, p.from, p.to, wait)
		t.kernel.end(n, p.outcome, 2*pace+wait)
		t.keep(p, pace, wait)
	}
}

// keep has one packet become a trace, which ends now. A dropped one is what the
// test drops most of.
func (t *Traffic) keep(p packet, pace, wait time.Duration) {
	t.journeys++
	j := &journey.Journey{
		TraceID: TraceID(t.journeys), Duration: 2*pace + wait, Outcome: p.outcome,
		Flow: journey.Flow{NetworkType: "ipv4", Transport: "tcp"},
		Hops: []journey.Hop{
			{Function: "ip_rcv", Duration: pace},
			{Function: p.from, Duration: pace / 2},
			{Function: p.to, Offset: pace + wait, Duration: pace, Interface: "eth0"},
		},
		Waits: []journey.Wait{{From: p.from, To: p.to, Offset: pace, Duration: wait}},
	}
	j.Start = time.Now().Add(-j.Duration)
	if p.outcome == journey.Dropped {
		j.Drop = &journey.Drop{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nft_do_chain", Protocol: "tcp", Hop: 2}
	}
	_ = t.exemplars.Export(context.Background(), j) // it has no errors
}

// TraceID is that of the nth packet which became a trace.
func TraceID(n uint64) journey.TraceID {
	id := journey.TraceID{0x5b}
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

// Drop counts n packets more at a place.
func (t *Traffic) Drop(n uint64, reason, function, protocol, device string) {
	const length = 84
	place := journey.DropCount{Reason: reason, Subsystem: "core", Function: function, Protocol: protocol, Interface: device}
	d := row(&t.kernel.drops, func(d *journey.DropCount) bool {
		known := *d
		known.Packets, known.Bytes = 0, 0
		return known == place
	}, place)
	d.Packets, d.Bytes = d.Packets+n, d.Bytes+n*length
}

// Lose counts n of each loss more.
func (t *Traffic) Lose(n uint64) {
	for _, losses := range [][]journey.Loss{t.kernel.losses, t.lost} {
		for i := range losses {
			losses[i].Count += n
		}
	}
}

type packet struct {
	from, to string // the ends of its wait
	outcome  journey.Outcome
}

// packets returns one of each outcome, with a wait in each kind of queue.
func packets() []packet {
	return []packet{
		{"__udp_enqueue_schedule_skb", "skb_consume_udp", journey.Delivered},
		{"dev_qdisc_enqueue", "dev_hard_start_xmit", journey.Transmitted},
		{"enqueue_to_backlog", "__netif_receive_skb", journey.Dropped},
		{"inet_frag_queue_insert", "ip_local_deliver_finish", journey.Consumed},
		{"enqueue_to_backlog", "__netif_receive_skb", journey.Absorbed},
		{"tcp_data_queue", "tcp_recvmsg_locked", journey.Expired},
	}
}
