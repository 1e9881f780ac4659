// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"cmp"
	"slices"
	"time"
)

// Build turns a whole record into a journey: it nests the visits into a tree,
// gives every hop its duration, finds the waits and places the drop. The
// trace id is the caller's to set.
func Build(r *Record) *Journey {
	j := &Journey{
		ID:         r.ID,
		RootID:     r.RootID,
		Start:      r.Start,
		Duration:   r.Duration,
		Outcome:    r.Outcome,
		Incomplete: r.Lost,
		Flow:       ParseFlow(r.Frame),
		Process:    r.Process,
		Hops:       make([]Hop, 0, len(r.Visits)),
	}
	if p := r.Parent; p != nil {
		j.ParentID, j.ParentHop = p.ID, p.Hop
		j.Lineage = lineageOf(p.Maker, r.Visits)
		if p.Again {
			j.ParentHop, j.Lineage = NoHop, Retransmission
		}
	}
	var depth [32]int // mostly enough, and not on the heap
	b := builder{journey: j, visits: r.Visits, calls: r.Calls, open: depth[:0]}
	for range r.Visits {
		b.measure()
		b.add()
	}
	b.measure()
	b.finish()
	if j.Outcome == Absorbed {
		j.AbsorbedBy = r.Absorber
	}
	if r.Drop != nil {
		j.Drop = placeDrop(r.Drop, j.Hops, r.Lost != BeyondLimit)
	}
	return j
}

// builder keeps the hops that are open, outermost first, by their indices:
// those that the kernel has entered and, as far as the stack tells, not left.
type builder struct {
	journey *Journey
	visits  []Visit
	calls   []Call // that are not used yet
	open    []int
}

// measure gives the hops that were seen to return, before the next visit, the time that
// they took; unless the packet ended before them, while its end was written down.
func (b *builder) measure() {
	for len(b.calls) > 0 && b.calls[0].Before <= len(b.journey.Hops) {
		c := b.calls[0]
		b.calls = b.calls[1:]
		for i := len(b.journey.Hops) - 1; i >= 0; i-- {
			if b.visits[i].Depth != c.Depth {
				continue
			}
			if h := &b.journey.Hops[i]; h.Offset+c.Duration <= b.journey.Duration {
				h.Duration, h.Exact = c.Duration, true
			}
			break
		}
	}
}

// add makes a hop of the next visit.
func (b *builder) add() {
	index := len(b.journey.Hops)
	v := &b.visits[index]
	before := -1
	if index > 0 {
		before = b.closeBefore(v, &b.journey.Hops[index-1])
	}
	parent := -1
	if len(b.open) > 0 {
		parent = b.open[len(b.open)-1]
	}
	via := b.via(v, parent, before)
	b.journey.Hops = b.journey.Hops[:index+1] // of which Build has made as many as there are visits
	h := &b.journey.Hops[index]               // written in place, not copied: hops are large
	h.Function, h.Caller, h.Via = v.Function, v.Caller, via
	h.Parent, h.Depth, h.Offset = parent, len(b.open), v.Offset
	h.CPU, h.Interface, h.Ifindex = v.CPU, v.Interface, v.Ifindex
	h.Netns, h.Length, h.Mark = v.Netns, v.Length, v.Mark
	b.open = append(b.open, index)
}

// via returns the caller of v if it was passed without a visit: since the hop
// parent began, no hop was it. Not where the hop before, on the same level, has
// the same return address: it ended in a jump to v, and its caller is told there.
// Nor where the parent has the same caller: then the parent may have returned.
func (b *builder) via(v *Visit, parent, before int) string {
	if b.visited(v.Caller, parent) {
		return ""
	}
	if before >= 0 && b.visits[before].CallSite == v.CallSite {
		return ""
	}
	if parent >= 0 && b.visits[parent].Caller == v.Caller {
		return ""
	}
	return v.Caller
}

// visited says whether the hop parent, or any since then, was at the function: mostly
// the parent itself.
func (b *builder) visited(function string, parent int) bool {
	if parent >= 0 && b.journey.Hops[parent].Function == function {
		return true
	}
	for i := len(b.journey.Hops) - 1; i > parent; i-- {
		if b.journey.Hops[i].Function == function {
			return true
		}
	}
	return false
}

// closeBefore closes the hops that the kernel has left when it makes the visit
// v, and notes a wait if nothing worked on the packet since the hop last. It
// returns the outermost that it closed, -1 if none or if it was on another stack.
func (b *builder) closeBefore(v *Visit, last *Hop) int {
	keep := b.enclosing(v)
	queue := b.queue(keep, v)
	waited := v.NewStack || queue != ""
	end := v.Offset
	if waited {
		end = last.Offset
		b.journey.Waits = append(b.journey.Waits, Wait{
			From: cmp.Or(queue, last.Function), To: v.Function, After: len(b.journey.Hops) - 1,
			Offset: last.Offset, Duration: max(v.Offset-last.Offset, 0),
		})
	}
	closed := b.open[keep:]
	b.close(closed, end)
	b.open = b.open[:keep]
	if v.NewStack || len(closed) == 0 {
		return -1
	}
	return closed[0]
}

// queue names where a packet waits: the innermost of the closing hops that
// parks packets, "" if none does. One that ended in a jump to v, which has its
// return address, has not parked the packet.
func (b *builder) queue(keep int, v *Visit) string {
	for i := len(b.open) - 1; i >= keep; i-- {
		f := b.journey.Hops[b.open[i]].Function
		if !Queues(f) {
			continue
		}
		if site := b.visits[b.open[i]].CallSite; i == keep && !v.NewStack && site != 0 && site == v.CallSite {
			return ""
		}
		return f
	}
	return ""
}

// enclosing returns how many of the open hops are still open around v. The
// stack cannot tell a call that has returned from one that has not if nothing
// wrote over it since; where the caller is an open hop, it is the parent. A call
// that was seen to return is around nothing.
func (b *builder) enclosing(v *Visit) int {
	if v.NewStack {
		return 0
	}
	keep := min(v.Depth, len(b.open))
	if i := slices.IndexFunc(b.open, func(hop int) bool { return b.journey.Hops[hop].Exact }); i >= 0 {
		keep = min(keep, i)
	}
	for i := keep; i > 0; i-- {
		if b.journey.Hops[b.open[i-1]].Function == v.Caller {
			return i
		}
	}
	return keep
}

// close ends hops, given outermost first: when they returned if that was seen, else at
// the end given, but not before those within them returned nor after one around them.
func (b *builder) close(hops []int, end time.Duration) {
	for _, i := range slices.Backward(hops) {
		h := &b.journey.Hops[i]
		if !h.Exact {
			h.Duration = max(end-h.Offset, 0)
		}
		end = max(end, h.Offset+h.Duration)
	}
	for _, i := range hops {
		h := &b.journey.Hops[i]
		if h.Exact {
			end = min(end, h.Offset+h.Duration)
		}
		h.Duration = min(h.Duration, max(end-h.Offset, 0))
	}
}

func (b *builder) finish() { b.close(b.open, b.journey.Duration) }

// placeDrop finds the hop a drop happened in: the last visit to the function
// that let go of the packet or, where that one cannot be probed, the last hop
// before the kernel's own freeing functions; not so unless the last hops are there.
func placeDrop(d *Drop, hops []Hop, toTheEnd bool) *Drop {
	placed := *d
	placed.Hop = -1
	for i := len(hops) - 1; i >= 0; i-- {
		if hops[i].Function == d.Function {
			placed.Hop = i
			return &placed
		}
		if placed.Hop == -1 && toTheEnd && !frees(hops[i].Function) {
			placed.Hop = i
		}
	}
	return &placed
}

func frees(function string) bool {
	switch function {
	case "kfree_skb_reason", "sk_skb_reason_drop", "kfree_skb_list_reason", "kfree_skb",
		"skb:kfree_skb":
		return true
	}
	return LifeOf(function) == Ends
}
