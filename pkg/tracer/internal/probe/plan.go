// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// plan says by which mechanism each function is attached.
//
// While a program at a kprobe runs, the kernel skips every other kprobe on that CPU:
// those of an interrupt that comes meanwhile too. It skips a trampoline only while
// the same program runs. So functions at which packets are made or end get a
// trampoline and a program each: should interrupts hide these, the next packet at
// the same address would be taken for the last one. Where a return is watched, the
// entry goes by the same trampoline.
type plan struct {
	lone    []target // a trampoline and a program each
	traced  []target // fentry-multi or fsession-multi
	kprobed []target
	returns map[string]journey.Return // watched by a lone trampoline each
}

func (c *selection) plan(backend Backend, trampolines bool) *plan {
	p := &plan{}
	_, shared := backend.tracingMulti()
	if trampolines {
		p.returns = c.returns
	}
	ambiguous := sharedNames(c.targets)
	for _, t := range c.targets {
		_, returns := p.returns[t.symbol.Name]
		switch traceable := t.traceable(ambiguous); {
		case traceable && trampolines && t.loneKind() != "" && (returns || t.life == journey.Ends || t.life == journey.Makes):
			p.lone = append(p.lone, t)
		case backend.seesReturns() && journey.TellsCaller(t.symbol.Name):
			p.kprobed = append(p.kprobed, t)
		case traceable && shared:
			p.traced = append(p.traced, t)
		default:
			p.kprobed = append(p.kprobed, t)
		}
	}
	return p
}

// The names of programs are one of these and the kind of target, or the function
// that the program is for.
const (
	kprobePrefix = "function_"
	tracedPrefix = "traced_"
	lonePrefix   = "lone_"
	returnPrefix = "return_"
)

// programs are those that the plan needs.
func (p *plan) programs() wanted {
	want := make(wanted)
	want.addKinds(tracedPrefix, p.traced)
	want.addKinds(kprobePrefix, p.kprobed)
	for _, t := range p.lone {
		want[lonePrefix+t.symbol.Name] = wantedProgram{from: lonePrefix + t.loneKind(), function: t.symbol.Name}
	}
	for name, r := range p.returns {
		want[returnPrefix+name] = wantedProgram{from: returnProgram(r), function: name}
	}
	return want
}

func returnProgram(r journey.Return) string {
	if r == journey.Refuses {
		return packetPathProgReturnRefused
	}
	return packetPathProgReturnAllocated
}

// attachPlan attaches everything. What trampolines refuse is left to kprobes. It
// stops between two links once the context ends.
func (a *attachments) attachPlan(ctx context.Context, programs map[string]*ebpf.Program, p *plan, backend Backend, progress func(int)) error {
	left, err := a.attachLone(ctx, programs, p)
	if err != nil {
		return err
	}
	how, _ := backend.tracingMulti()
	refused, err := a.attachTracingMulti(ctx, programs, how.attachType, p.traced, progress)
	if err != nil {
		return err
	}
	attach := a.attachKprobeMulti
	if backend == BackendKprobe {
		attach = a.attachKprobes
	}
	return attach(ctx, programs, append(append(left, refused...), p.kprobed...), progress)
}

// attachLone attaches what gets a trampoline of its own, and returns the targets
// that the kernel would not attach so.
func (a *attachments) attachLone(ctx context.Context, programs map[string]*ebpf.Program, p *plan) (left []target, err error) {
	for _, t := range p.lone {
		if err := stopped(ctx); err != nil {
			return nil, err
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: programs[lonePrefix+t.symbol.Name]})
		switch {
		case errors.Is(err, os.ErrPermission):
			return nil, fmt.Errorf("attach to %s: %w", t.symbol.Name, err)
		case err != nil:
			left = append(left, t)
		default:
			a.add(l, 1)
		}
	}
	return left, a.attachReturns(ctx, programs, p.returns)
}

// attachReturns attaches to places that are none of hops.
func (a *attachments) attachReturns(ctx context.Context, programs map[string]*ebpf.Program, returns map[string]journey.Return) error {
	for _, name := range slices.Sorted(maps.Keys(returns)) {
		if err := stopped(ctx); err != nil {
			return err
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: programs[returnPrefix+name]})
		if err != nil {
			a.refused = append(a.refused, Miss{name, "its return: " + err.Error()})
			continue
		}
		a.add(l, 0)
	}
	return nil
}
