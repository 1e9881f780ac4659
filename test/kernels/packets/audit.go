// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
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
// of more than one packet: sendDatagrams gives each port lengths of its own, so a hop
// of another packet does not fit. Of other packets it looks at the length that IP
// sees. It prints how many there are of each kind.
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
	if port, ok := a.port(j); ok {
		return a.checkDatagram(j, port)
	}
	return checkInIP(j)
}

// port is which of the ports a datagram is for.
func (a *audit) port(j *audited) (port int, ok bool) {
	port = j.Flow.Destination.Port - a.first
	return port, j.Flow.Transport == "udp" && port >= 0 && port < a.ports
}

// checkDatagram: all lengths are those of one payload, which is one for the port.
func (a *audit) checkDatagram(j *audited, port int) (complaint string) {
	var payloads []int // that all lengths so far allow
	begun := false
	for _, h := range j.Hops {
		if h.Length == nil {
			continue
		}
		var allowed []int
		for _, headers := range []int{0, 8, 8 + 20, 8 + 20 + 14} { // UDP, IP, Ethernet
			payload := *h.Length - headers
			if (payload-a.size-port)%a.ports == 0 && (!begun || slices.Contains(payloads, payload)) {
				allowed = append(allowed, payload)
			}
		}
		if len(allowed) == 0 {
			return fmt.Sprintf("length %d in %s, with a payload of %d", *h.Length, h.Function, payloads)
		}
		payloads, begun = allowed, true
	}
	return ""
}

// inIP are functions at which the network header is the packet's first, and nothing
// is merged into it yet.
var inIP = []string{"__ip_local_out", "ip_output", "ip_rcv", "ip_forward", "ip_local_deliver"}

// checkInIP: the length does not change as long as a packet is in IP, unless it is cut
// or put together.
func checkInIP(j *audited) (complaint string) {
	length := 0
	for _, h := range j.Hops {
		switch {
		case h.Function == "ip_do_fragment" || h.Function == "inet_frag_queue_insert" || strings.HasSuffix(h.Function, "_copy_metadata"):
			return ""
		case h.Length == nil || !slices.Contains(inIP, h.Function):
		case length != 0 && *h.Length != length:
			return fmt.Sprintf("length %d in %s, and %d before", *h.Length, h.Function, length)
		default:
			length = *h.Length
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
	if port, ok := a.port(j); ok {
		words[0] = fmt.Sprintf("udp %d", a.first+port)
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
