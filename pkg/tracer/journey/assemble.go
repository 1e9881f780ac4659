// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"slices"
	"sync/atomic"
)

// maxUnfinished bounds the long journeys whose next part is awaited.
const maxUnfinished = 1024

// Assembler joins the parts in which long journeys leave the kernel. Only Lost
// is safe for concurrent use.
type Assembler struct {
	unfinished map[uint64]*Record
	order      []uint64 // ids by age, oldest first; may hold finished ones
	lost       atomic.Uint64
}

// NewAssembler returns an Assembler that awaits nothing.
func NewAssembler() *Assembler {
	return &Assembler{unfinished: make(map[uint64]*Record)}
}

// Lost counts journeys whose parts so far were given up because too many others
// were unfinished. What follows of such a journey comes out without them.
func (a *Assembler) Lost() uint64 { return a.lost.Load() }

// Add takes a part and returns the whole journey once its last part is there,
// nil before. A journey with a part missing says so. What it returns may be part
// itself, of which it keeps nothing.
func (a *Assembler) Add(part *Record) *Record {
	whole, begun := a.unfinished[part.ID]
	switch {
	case !begun && part.Part == 0 && !part.More:
		return part
	case !begun:
		whole = part
		if part.Part != 0 {
			whole.Lost = "its first part"
		}
	default:
		whole.join(part)
	}
	if part.More {
		a.await(whole)
		return nil
	}
	delete(a.unfinished, part.ID)
	return whole
}

func (r *Record) clone() *Record {
	c := *r
	c.Frame, c.Visits, c.Calls = slices.Clone(r.Frame), slices.Clone(r.Visits), slices.Clone(r.Calls)
	return &c
}

func (r *Record) join(next *Record) {
	if next.Part != r.Part+1 {
		r.Lost = "a part in the middle"
	}
	if next.Lost != "" {
		r.Lost = next.Lost
	}
	r.Part = next.Part
	r.Duration = next.Duration
	r.Outcome, r.Drop = next.Outcome, next.Drop
	r.Absorber = next.Absorber
	r.Certain, r.Unwanted = next.Certain, next.Unwanted
	for _, c := range next.Calls {
		c.Before += len(r.Visits)
		r.Calls = append(r.Calls, c)
	}
	r.Visits = append(r.Visits, next.Visits...)
}

func (a *Assembler) await(whole *Record) {
	if _, known := a.unfinished[whole.ID]; known {
		return
	}
	a.unfinished[whole.ID] = whole.clone()
	a.order = append(a.order, whole.ID)
	if len(a.unfinished) > maxUnfinished {
		a.giveUpOldest()
	}
	if len(a.order) > 2*maxUnfinished {
		a.order = slices.DeleteFunc(a.order, a.finished)
	}
}

func (a *Assembler) finished(id uint64) bool { return a.unfinished[id] == nil }

func (a *Assembler) giveUpOldest() {
	for i, id := range a.order {
		if !a.finished(id) {
			delete(a.unfinished, id)
			a.lost.Add(1)
			a.order = a.order[i+1:]
			return
		}
	}
}
