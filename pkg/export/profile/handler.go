// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	// Path is where the profile is served.
	Path = "/debug/packets/profile"

	defaultSeconds = 10
	maxSeconds     = 300
)

// ServeHTTP records for ?seconds=N and answers with the profile. A client that
// goes away ends its recording.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	duration, err := durationOf(r.FormValue("seconds"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	t, err := s.begin()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	start := time.Now()
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		s.end(t)
		return
	}
	s.end(t)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="packets.pb.gz"`)
	_ = t.pprof(start, duration).Write(w) // an error means that the client has gone
}

func durationOf(text string) (time.Duration, error) {
	if text == "" {
		return defaultSeconds * time.Second, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxSeconds {
		return 0, fmt.Errorf("seconds=%q: must be a whole number from 1 to %d", text, maxSeconds)
	}
	return time.Duration(n) * time.Second, nil
}
