// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// maxDevices bounds the names of devices that are kept: a machine may make new ones for ever.
const maxDevices = 4096

// functionSlots is a power of two, more than there are call sites of the functions attached.
const (
	functionSlots    = 1 << functionSlotBits
	functionSlotBits = 13
)

// named is the name of the function that an address lies in.
type named struct {
	low  uint32 // of the address; 0 is none
	name string
}

// names turns the numbers of records into names. Only function() and device() write to
// it, and are for one goroutine; the rest is safe for concurrent use.
type names struct {
	symbols     *kernel.Symbols
	reasons     *kernel.Reasons
	tracepoints []string          // by number - 1
	subsystems  map[string]string // of tracepoints; without tracefs they have none
	functions   [functionSlots]named
	devices     map[string]string // the same string for the same name
	trampolines *kernel.Symbols   // which the functions return to that others are jumped to from; nil without
}

func newNames(known *facts) (*names, error) {
	reasons, err := kernel.ReadReasons(known.cache)
	if err != nil {
		return nil, err
	}
	return &names{symbols: known.symbols, reasons: reasons, devices: make(map[string]string)}, nil
}

// addTracepoint gives a tracepoint its number, which stands in records where
// functions have the low word of their address: no text lies that low.
func (n *names) addTracepoint(name string) int32 {
	if group := n.subsystems[name]; group != "" {
		name = group + ":" + name
	}
	n.tracepoints = append(n.tracepoints, strings.ToValidUTF8(name, "\uFFFD"))
	return int32(len(n.tracepoints))
}

// readSubsystems makes the names of tracepoints whole.
func (n *names) readSubsystems() error {
	tracefs, err := kernel.OpenTracefs()
	if err != nil {
		return err
	}
	defer tracefs.Close()
	n.subsystems, err = tracefs.Subsystems()
	return err
}

// function names what the low word of an address lies in, "" for 0, in valid UTF-8.
func (n *names) function(low uint32) string {
	if low == 0 {
		return ""
	}
	if int(low) <= len(n.tracepoints) {
		return n.tracepoints[low-1]
	}
	const golden = 0x9e3779b1 // 2^32 by the golden ratio: neighbours come to lie apart
	slot := &n.functions[low*golden>>(32-functionSlotBits)]
	if slot.low != low {
		*slot = named{low, strings.ToValidUTF8(n.at(n.symbols.Widen(low)), "\uFFFD")}
	}
	return slot.name
}

// device names a network device, from bytes of which those after a zero say nothing.
func (n *names) device(raw []byte) string {
	raw = text(raw)
	if name, known := n.devices[string(raw)]; known {
		return name
	}
	if len(n.devices) == maxDevices {
		clear(n.devices)
	}
	name := string(raw)
	n.devices[name] = name
	return name
}

func (n *names) at(address uint64) string {
	symbol, ok := n.symbols.At(address)
	if n.trampolines != nil { // they lie between modules
		if t, there := n.trampolines.At(address); there && (!ok || t.Address > symbol.Address) {
			symbol, ok = t, true
		}
	}
	if !ok {
		return ""
	}
	return kernel.BaseName(symbol.Name)
}

// readTrampolines lets addresses in trampolines be named by the functions that these call:
// where one ends in a jump, the next returns to the trampoline.
func (n *names) readTrampolines(targets []target) error {
	now, err := kernel.ReadSymbols()
	if err != nil {
		return err
	}
	functions := make(map[btf.TypeID]string)
	for _, t := range targets {
		functions[t.id] = t.symbol.Name
	}
	n.trampolines = now.Trampolines(functions)
	return nil
}

// drop names a drop from the return address and the number that the kernel
// gives; 0 is no reason (before 5.17).
func (n *names) drop(location uint64, number uint32) *journey.Drop {
	drop := &journey.Drop{Function: n.at(location), Subsystem: "core"}
	if number != 0 {
		drop.Reason, drop.Subsystem = n.reasons.Name(number)
	}
	return drop
}
