// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bufio"
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

const (
	// maxIndent is the depth from which the tree no longer moves to the right.
	maxIndent = 32

	// margin is the width of the two columns of time before the tree.
	margin = 24

	timeLayout = "15:04:05.000000000"

	// shortID is how many digits of a container's id "docker ps" and its like show.
	shortID = 12
)

// text draws journeys as trees:
//
//	09:30:15.123456789  10.0.0.1 → 10.0.0.2 icmp  delivered  31.2 µs  9 hops  ping[4242]
//	      0 ns     9.80 µs  ip_send_skb  via raw_sendmsg cpu=0 netns=4026531840 length=84
//	    150 ns      600 ns  ├ __ip_local_out
//
// The columns are the offset from the first hop and the time spent. What stands
// after "via" was not visited: a return address told of it.
type text struct {
	out   *bufio.Writer
	paint paint
	line  []byte // of the tree in front of a function
}

func (t *text) journey(j *journey.Journey) error {
	t.header(j)
	lasts := lastChildren(j.Hops)
	wait := 0
	waitsUpTo := func(hop int) {
		for ; wait < len(j.Waits) && j.Waits[wait].After <= hop; wait++ {
			t.wait(&j.Waits[wait])
		}
	}
	waitsUpTo(-1)
	for i := range j.Hops {
		t.hop(j, i, lasts)
		waitsUpTo(i)
	}
	for ; wait < len(j.Waits); wait++ { // said to follow a hop that is not there
		t.wait(&j.Waits[wait])
	}
	if j.Drop != nil {
		t.drop(j.Drop)
	}
	if j.Incomplete != "" {
		t.write(strings.Repeat(" ", margin), t.paint.yellow("INCOMPLETE "+printable(j.Incomplete)), "\n")
	}
	t.write("\n")
	_, err := t.out.Write(nil) // reports the first error of the writes above
	return err
}

// write ignores errors: bufio keeps the first one for later.
func (t *text) write(parts ...string) {
	for _, s := range parts {
		_, _ = t.out.WriteString(s)
	}
}

func (t *text) header(j *journey.Journey) {
	outcome := j.Outcome.String()
	switch j.Outcome {
	case journey.Dropped:
		outcome = t.paint.red(outcome)
	case journey.Delivered, journey.Transmitted:
		outcome = t.paint.green(outcome)
	case journey.Expired:
		outcome = t.paint.yellow(outcome)
	}
	hops := strconv.Itoa(len(j.Hops)) + " hops"
	if len(j.Hops) == 1 {
		hops = "1 hop"
	}
	parts := []string{
		t.paint.bold(j.Start.Format(timeLayout)), fmt.Sprintf("#%x", j.ID), t.paint.bold(flowText(&j.Flow)),
		outcome, human(j.Duration), hops,
	}
	if p := j.Process; p != nil {
		parts = append(parts, processText(p))
	}
	if j.ParentID != 0 {
		parts = append(parts, fmt.Sprintf("%s of #%x", lineageText(j.Lineage), j.ParentID))
	}
	if j.AbsorbedBy != 0 {
		parts = append(parts, fmt.Sprintf("into #%x", j.AbsorbedBy))
	}
	t.write(strings.Join(parts, "  "), "\n")
}

// processText writes "curl[4242]", and "container=0123456789ab pod=UID" after it:
// as much of a container's id as its runtime shows.
func processText(p *journey.Process) string {
	text := fmt.Sprintf("%s[%d]", printable(p.Command), p.PID)
	if p.Container != "" {
		text += "  container=" + p.Container[:min(shortID, len(p.Container))]
	}
	if p.PodUID != "" {
		text += " pod=" + p.PodUID
	}
	return text
}

func lineageText(l journey.Lineage) string {
	if l == journey.Original {
		return "made out"
	}
	return l.String()
}

func (t *text) hop(j *journey.Journey, i int, lasts []bool) {
	h := &j.Hops[i]
	function := printable(h.Function)
	if j.Drop != nil && j.Drop.Hop == i {
		function = t.paint.red(function)
	}
	_, _ = fmt.Fprintf(t.out, "%10s  %10s  ", human(h.Offset), human(h.Duration))
	t.write(t.paint.dim(t.branch(j.Hops, i, lasts)), function)
	if details := details(j.Hops, i); details != "" {
		t.write("  ", t.paint.dim(details))
	}
	t.write("\n")
}

// branch draws the tree in front of a hop: one column per enclosing hop, open
// where more follows below it.
func (t *text) branch(hops []journey.Hop, i int, lasts []bool) string {
	const blank, open, fork, end = "  ", "│ ", "├ ", "└ "
	var columns []string
	for at := i; parentOf(hops, at) >= 0 && len(columns) < maxIndent; at = parentOf(hops, at) {
		switch {
		case at == i && lasts[at]:
			columns = append(columns, end)
		case at == i:
			columns = append(columns, fork)
		case lasts[at]:
			columns = append(columns, blank)
		default:
			columns = append(columns, open)
		}
	}
	t.line = t.line[:0]
	for c := len(columns) - 1; c >= 0; c-- {
		t.line = append(t.line, columns[c]...)
	}
	return string(t.line)
}

// parentOf is the parent of hop i, -1 also where it is not an earlier hop.
func parentOf(hops []journey.Hop, i int) int {
	if p := hops[i].Parent; p < i {
		return max(p, -1)
	}
	return -1
}

// lastChildren tells for each hop whether no further hop has its parent.
func lastChildren(hops []journey.Hop) []bool {
	lasts := make([]bool, len(hops))
	followed := make([]bool, len(hops))
	for i := len(hops) - 1; i >= 0; i-- {
		if p := parentOf(hops, i); p >= 0 {
			lasts[i] = !followed[p]
			followed[p] = true
		}
	}
	return lasts
}

// details lists what was passed between the enclosing hop and this one, and what
// changed since the hop before.
func details(hops []journey.Hop, i int) string {
	h := &hops[i]
	var parts []string
	if h.Via != "" {
		parts = append(parts, "via "+printable(h.Via))
	}
	first := i == 0
	before := &journey.Hop{}
	if !first {
		before = &hops[i-1]
	}
	if h.CPU != before.CPU || first {
		parts = append(parts, fmt.Sprintf("cpu=%d", h.CPU))
	}
	switch h.Interface {
	case before.Interface:
	case "":
		parts = append(parts, "interface=none")
	default:
		parts = append(parts, "interface="+printable(h.Interface))
	}
	if h.Netns != before.Netns {
		parts = append(parts, netnsText(h))
	}
	if h.Length != before.Length || first {
		parts = append(parts, fmt.Sprintf("length=%d", h.Length))
	}
	if h.Mark != before.Mark {
		parts = append(parts, fmt.Sprintf("mark=%#x", h.Mark))
	}
	return strings.Join(parts, " ")
}

func netnsText(h *journey.Hop) string {
	if h.NetnsName == "" {
		return fmt.Sprintf("netns=%d", h.Netns)
	}
	return fmt.Sprintf("netns=%d(%s)", h.Netns, printable(h.NetnsName))
}

func (t *text) wait(w *journey.Wait) {
	line := fmt.Sprintf("··· waited %s between %s and %s ···", human(w.Duration), printable(w.From), printable(w.To))
	_, _ = fmt.Fprintf(t.out, "%10s%*s", human(w.Offset), margin-10, "")
	t.write(t.paint.yellow(line), "\n")
}

func (t *text) drop(d *journey.Drop) {
	line := "DROPPED reason " + cmp.Or(d.Reason, "unknown")
	if d.Subsystem != "" {
		line += " (" + d.Subsystem + ")"
	}
	if d.Function != "" {
		line += " in " + d.Function
	}
	t.write(strings.Repeat(" ", margin), t.paint.red(printable(line)), "\n")
	if advice := d.Advice(); advice != "" {
		t.write(strings.Repeat(" ", margin), t.paint.dim(advice), "\n")
	}
}

// flowText writes a flow as "10.0.0.1:443 → 10.0.0.2:8080 tcp".
func flowText(f *journey.Flow) string {
	kind := f.Transport
	if kind == "" {
		kind = f.NetworkType
	}
	if kind == "" {
		kind = "unknown packet"
	}
	var b strings.Builder
	if f.Source.Address.IsValid() || f.Destination.Address.IsValid() {
		ports := f.Source.Port != 0 || f.Destination.Port != 0
		b.WriteString(endpointText(f.Source, ports) + " → " + endpointText(f.Destination, ports) + " ")
	}
	b.WriteString(printable(kind))
	if f.Fragment {
		b.WriteString(" fragment")
	}
	if f.VLAN != 0 {
		fmt.Fprintf(&b, " vlan %d", f.VLAN)
	}
	return b.String()
}

func endpointText(e journey.Endpoint, port bool) string {
	switch {
	case !e.Address.IsValid():
		return "?"
	case port:
		return netip.AddrPortFrom(e.Address, e.Port).String()
	default:
		return e.Address.String()
	}
}
