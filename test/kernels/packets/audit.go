// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// audited is what the audit reads of a journey.
type audited struct {
	ID       string `json:"journey_id"`
	ParentID string `json:"parent_id"`
	Outcome  string `json:"outcome"`
	Missing  string `json:"missing"`
	Drop     *struct {
		Reason string `json:"reason"`
	} `json:"drop"`
	Flow struct {
		Transport   string `json:"transport"`
		Destination struct {
			Port int `json:"port"`
		} `json:"destination"`
	} `json:"flow"`
	Hops []struct {
		Function string `json:"function"`
		Length   *int   `json:"length"`
	} `json:"hops"`
}

// audit reads journeys from standard input and tells those that are the journey
// of more than one packet: sendDatagrams gives each port a length of its own, so
// a hop of another packet does not fit. It prints how many there are of each kind.
type audit struct {
	first, ports, size int
	ended              map[uint64][]uint64 // by CPU, a bit for each journey
	counts             map[string]int
	bad                int
}

func auditJourneys(args []string) error {
	f := flags("audit")
	first := f.Int("port", 0, "the first")
	ports := f.Int("ports", 1, "")
	size := f.Int("size", 100, "bytes of payload for the first port")
	out := f.String("out", "", "file for the counts")
	_ = f.Parse(args)
	a := audit{first: *first, ports: *ports, size: *size, ended: make(map[uint64][]uint64), counts: make(map[string]int)}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	for lines.Scan() {
		var j audited
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			return fmt.Errorf("%w in %q", err, lines.Text())
		}
		if complaint := a.add(&j); complaint != "" {
			if a.bad++; a.bad <= 20 {
				fmt.Printf("%s: %s\n", complaint, lines.Text())
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	a.counts["bad"] = a.bad
	data, err := json.Marshal(a.counts)
	if err != nil {
		return err
	}
	return os.WriteFile(*out, data, 0o644)
}

func (a *audit) add(j *audited) (complaint string) {
	a.counts[a.kind(j)]++
	again, err := a.end(j.ID)
	if err != nil {
		return err.Error()
	}
	if again {
		return "a journey that ended before"
	}
	port := j.Flow.Destination.Port - a.first
	if j.Flow.Transport != "udp" || port < 0 || port >= a.ports {
		return ""
	}
	for _, h := range j.Hops {
		if h.Length != nil && !fits(*h.Length, a.size+port) {
			return fmt.Sprintf("length %d in %s, with a payload of %d", *h.Length, h.Function, a.size+port)
		}
	}
	return ""
}

// end notes that a journey has ended and reports whether it had before. Ids count
// up on each CPU, which is in the upper bits.
func (a *audit) end(id string) (again bool, err error) {
	n, err := strconv.ParseUint(id, 16, 64)
	if err != nil {
		return false, err
	}
	cpu, n := n>>40, n&(1<<40-1)
	for uint64(len(a.ended[cpu])) <= n/64 {
		a.ended[cpu] = append(a.ended[cpu], 0)
	}
	word := &a.ended[cpu][n/64]
	again = *word>>(n%64)&1 == 1
	*word |= 1 << (n % 64)
	return again, nil
}

// kind tells journeys apart by port and end.
func (a *audit) kind(j *audited) string {
	words := []string{j.Flow.Transport, j.Outcome}
	if port := j.Flow.Destination.Port; j.Flow.Transport == "udp" && port >= a.first && port < a.first+a.ports {
		words[0] = fmt.Sprintf("udp %d", port)
	}
	if j.Drop != nil {
		words = append(words, j.Drop.Reason)
	}
	if j.ParentID != "" {
		words = append(words, "derived")
	}
	if j.Missing != "" {
		words = append(words, "incomplete")
	}
	return strings.Join(words, " ")
}

// fits: with an Ethernet header or without, down to the payload. No two of these
// are less than 8 apart, so that up to eight ports with lengths one byte apart are not
// taken for each other.
func fits(length, payload int) bool {
	switch length - payload {
	case 0, 8, 8 + 20, 8 + 20 + 14:
		return true
	}
	return false
}
