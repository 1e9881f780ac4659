// SPDX-License-Identifier: Apache-2.0

package prom

import "github.com/prometheus/client_golang/prometheus"

// descriptions of every metric, in the order of the documentation.
type descriptions struct {
	droppedPackets   *prometheus.Desc
	droppedBytes     *prometheus.Desc
	functionCalls    *prometheus.Desc
	functionDuration *prometheus.Desc
	waitDuration     *prometheus.Desc
	journeys         *prometheus.Desc
	journeyDuration  *prometheus.Desc
	lost             *prometheus.Desc
	probes           *prometheus.Desc
	queueFill        *prometheus.Desc
}

func describe() descriptions {
	desc := func(name, unit, help string, labels ...string) *prometheus.Desc {
		var options []prometheus.DescOpt
		if unit != "" {
			options = append(options, prometheus.WithUnit(unit))
		}
		return prometheus.V2.NewDesc("skbpath_"+name, help, prometheus.UnconstrainedLabels(labels), nil, options...)
	}
	return descriptions{
		droppedPackets: desc("dropped_packets_total", "",
			"Packets the kernel dropped on this host, whatever the filter and the sampling, by the kernel's reason, the subsystem that owns the reason, "+
				"the function that let go of the packet, its protocol, and its interface (empty when it had none).",
			"reason", "subsystem", "function", "protocol", "interface"),
		droppedBytes: desc("dropped_bytes_total", "",
			"Bytes (skb length) of the packets in skbpath_dropped_packets_total, with the same labels.",
			"reason", "subsystem", "function", "protocol", "interface"),
		functionCalls: desc("function_calls_total", "",
			"Visits of matching packets to a kernel function or tracepoint.",
			"function"),
		functionDuration: desc("function_duration_seconds", "seconds",
			"Time a matching packet spent in a kernel function, functions it called included, in seconds. Unless the function is seen to return (fsession-multi) this is an upper bound; calls inside 15 others or more are left out. "+
				"Buckets are powers of four from 128 ns to 2.1 s.",
			"function"),
		waitDuration: desc("wait_duration_seconds", "seconds",
			"Time in which no code worked on a matching packet, between the functions from and to, in seconds (qdisc, backlog, socket, reassembly). "+
				"Buckets are powers of two from 1 us to 8.6 s. At most 1,024 pairs have series; what exceeds them is counted in skbpath_lost_total.",
			"from", "to"),
		journeys: desc("journeys_total", "",
			"Packets followed to their end, by how they ended: delivered, transmitted, dropped, consumed, absorbed, or expired (no end seen in time).",
			"outcome"),
		journeyDuration: desc("journey_duration_seconds", "seconds",
			"Time from a packet's first hop to its end, in seconds, by how it ended. Buckets are powers of two from 1 us to 8.6 s.",
			"outcome"),
		lost: desc("lost_total", "",
			"What skbpath could not see or keep (hop, journey, part of a long journey, end of a journey, wait, drop, series, lineage of what TCP sends again; container, netns: a name), by cause. Anything but zero means that the other metrics or the traces have a hole.",
			"what", "cause"),
		probes: desc("probes", "",
			"Kernel functions and tracepoints by state of their probe: attached, refused, or skipped.",
			"state"),
		queueFill: desc("queue_fill_ratio", "ratio",
			"How full the queue of a sink is at the time of the scrape, from 0 to 1: its journeys or their hops, whichever is nearer to its bound. "+
				"What finds no room is counted in skbpath_lost_total.",
			"sink"),
	}
}

func (d *descriptions) all() []*prometheus.Desc {
	return []*prometheus.Desc{
		d.droppedPackets, d.droppedBytes, d.functionCalls, d.functionDuration, d.waitDuration,
		d.journeys, d.journeyDuration, d.lost, d.probes, d.queueFill,
	}
}
