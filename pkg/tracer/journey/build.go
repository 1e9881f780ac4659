// SPDX-License-Identifier: Apache-2.0

package journey

import "cmp"

// Build turns a whole record into a journey: it nests the visits into a tree,
// gives every hop its duration, finds the waits and decides the outcome. The
// trace id is the caller's to set.
func Build(r *Record) *Journey {
	j := &Journey{
		ID:         r.ID,
		RootID:     r.RootID,
		Start:      r.Start,
		Duration:   r.Duration,
		Incomplete: r.Lost,
		Flow:       ParseFlow(r.Frame),
		Process:    r.Process,
		Hops:       make([]Hop, 0, len(r.Visits)),
	}
	if p := r.Parent; p != nil {
		j.ParentID, j.ParentHop = p.ID, p.Hop
		j.Lineage = lineageOf(p.Maker, r.Visits)
	}
	b := builder{journey: j}
	for i := range r.Visits {
		b.add(&r.Visits[i])
	}
	b.finish()
	j.Outcome = outcome(r)
	if j.Outcome == Dropped {
		j.Drop = placeDrop(r.Drop, j.Hops)
	}
	return j
}

// builder keeps the hops that are open, outermost first, by their indices:
// those that the kernel has entered and, as far as the stack tells, not left.
type builder struct {
	journey *Journey
	open    []int
}

func (b *builder) add(v *Visit) {
	index := len(b.journey.Hops)
	if index > 0 {
		b.closeBefore(v, &b.journey.Hops[index-1])
	}
	parent := -1
	if len(b.open) > 0 {
		parent = b.open[len(b.open)-1]
	}
	b.journey.Hops = append(b.journey.Hops, Hop{
		Function: v.Function, Caller: v.Caller,
		Parent: parent, Depth: len(b.open), Offset: v.Offset,
		CPU: v.CPU, Interface: v.Interface, Ifindex: v.Ifindex,
		Netns: v.Netns, Length: v.Length, Mark: v.Mark,
	})
	b.open = append(b.open, index)
}

// closeBefore closes the hops that the kernel has left when it makes the visit
// v, and notes a wait if nothing worked on the packet since the hop last.
func (b *builder) closeBefore(v *Visit, last *Hop) {
	keep := b.enclosing(v)
	queue := b.queue(keep)
	waited := v.NewStack || queue != ""
	end := v.Offset
	if waited {
		end = last.Offset
		b.journey.Waits = append(b.journey.Waits, Wait{
			From: cmp.Or(queue, last.Function), To: v.Function, After: len(b.journey.Hops) - 1,
			Offset: last.Offset, Duration: max(v.Offset-last.Offset, 0),
		})
	}
	for _, i := range b.open[keep:] {
		h := &b.journey.Hops[i]
		h.Duration = max(end-h.Offset, 0)
	}
	b.open = b.open[:keep]
}

// queue names where a packet waits: the innermost of the closing hops that
// parks packets, "" if none does.
func (b *builder) queue(keep int) string {
	for i := len(b.open) - 1; i >= keep; i-- {
		if f := b.journey.Hops[b.open[i]].Function; queues(f) {
			return f
		}
	}
	return ""
}

// enclosing returns how many of the open hops are still open around v. The
// stack cannot tell a call that has returned from one that has not if nothing
// wrote over it since; where the caller is an open hop, it is the parent.
func (b *builder) enclosing(v *Visit) int {
	if v.NewStack {
		return 0
	}
	keep := min(v.Depth, len(b.open))
	for i := keep; i > 0; i-- {
		if b.journey.Hops[b.open[i-1]].Function == v.Caller {
			return i
		}
	}
	return keep
}

func (b *builder) finish() {
	for _, i := range b.open {
		h := &b.journey.Hops[i]
		h.Duration = max(b.journey.Duration-h.Offset, 0)
	}
}

func outcome(r *Record) Outcome {
	switch {
	case r.Drop != nil:
		return Dropped
	case r.Expired:
		return Expired
	}
	for i := len(r.Visits) - 1; i >= 0; i-- {
		if o, ok := evidence(r.Visits[i].Function); ok {
			return o
		}
	}
	return Consumed
}

// placeDrop finds the hop a drop happened in: the last visit to the function
// that let go of the packet or, where that one cannot be probed, the last hop
// before the kernel's own freeing functions.
func placeDrop(d *Drop, hops []Hop) *Drop {
	placed := *d
	placed.Hop = -1
	for i := len(hops) - 1; i >= 0; i-- {
		if hops[i].Function == d.Function {
			placed.Hop = i
			return &placed
		}
		if placed.Hop == -1 && !frees(hops[i].Function) {
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
