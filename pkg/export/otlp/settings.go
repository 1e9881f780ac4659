// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skbpath/skbpath/pkg/export"
)

// Enabled says whether the environment asks for OTLP: an endpoint is set, or an
// exporter is named, and the SDK is not disabled. Unlike the specification,
// which defaults to localhost, nothing set means no OTLP.
func Enabled(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	switch getenv(exporterVariable) {
	case "none":
		return false
	case "":
		return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	default:
		return true
	}
}

// settings are the bounds and times of delivery.
type settings struct {
	queueSpans    int           // spans that wait in front of the sink
	batchSpans    int           // spans that make a request full
	delay         time.Duration // a request waits at most this long to fill
	exportTimeout time.Duration // one call of the client, its retries included

	retryFirst time.Duration // pause before the first retry of ours, doubled each time
	retryMost  time.Duration // the longest pause
	retryFor   time.Duration // a request is given up after this long
}

// settingsFrom reads OTEL_BSP_*, the variables of the SDK's batch span
// processor, which this sink replaces. The defaults differ from the SDK's where
// its own suit a few spans per request but not a trace per packet: a longer
// queue, larger requests and a shorter delay.
func settingsFrom(getenv func(string) string) (settings, error) {
	s := settings{
		queueSpans:    65536,
		batchSpans:    2048,
		delay:         time.Second,
		exportTimeout: 30 * time.Second,
		retryFirst:    time.Second,
		retryMost:     30 * time.Second,
		retryFor:      2 * time.Minute,
	}
	for _, v := range []struct {
		name  string
		least int
		set   func(int)
	}{
		{"OTEL_BSP_MAX_QUEUE_SIZE", 1, func(n int) { s.queueSpans = n }},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, func(n int) { s.batchSpans = n }},
		{"OTEL_BSP_SCHEDULE_DELAY", 0, func(n int) { s.delay = time.Duration(n) * time.Millisecond }},
		{"OTEL_BSP_EXPORT_TIMEOUT", 1, func(n int) { s.exportTimeout = time.Duration(n) * time.Millisecond }},
	} {
		text := getenv(v.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < v.least {
			return s, fmt.Errorf("%s=%q is not a whole number from %d up", v.name, text, v.least)
		}
		v.set(n)
	}
	return s, nil
}

func (s settings) limits() export.Limits {
	l := export.DefaultLimits()
	l.Hops = s.queueSpans
	l.Journeys = max(l.Journeys, s.queueSpans/16) // few journeys have fewer hops
	return l
}
