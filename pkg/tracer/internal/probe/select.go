// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// target is one function to attach. Each is attached once, whatever packets it has: where
// two links lead to one function, the kernel asks all links there are at each of its calls
// (arch_ftrace_ops_list_func).
type target struct {
	symbol   kernel.Symbol
	id       btf.TypeID // in the BTF of the kernel, 0 for a function of a module
	argument kernel.Argument
	second   int // the register of another packet that visits it, 0 for none
	life     journey.Life
}

// otherKind is the kind of targets whose program looks their role up.
const otherKind = "other"

// kind names the eBPF program that serves the target beside others.
func (t target) kind() string {
	switch role := t.role(); role {
	case roleOf(packetPathLifeLIFE_LIVES, 1, 0), roleOf(packetPathLifeLIFE_LIVES, 2, 0),
		roleOf(packetPathLifeLIFE_LIVES, 3, 0), roleOf(packetPathLifeLIFE_LIVES, 4, 0):
		return fmt.Sprintf("skb%d", role.Packet)
	case roleOf(packetPathLifeLIFE_LATE, 1, 0):
		return "late1"
	case byReference(roleOf(packetPathLifeLIFE_LIVES, 1, 0)):
		return "ref1"
	}
	return otherKind
}

// loneKind names the eBPF program that serves this target alone, "" if there is none.
func (t target) loneKind() string {
	switch role := t.role(); role {
	case roleOf(packetPathLifeLIFE_ENDS, 1, 0), roleOf(packetPathLifeLIFE_ENDS, 2, 0):
		return fmt.Sprintf("end%d", role.Packet)
	case roleOf(packetPathLifeLIFE_MAKES, 2, 1):
		return "birth"
	case roleOf(packetPathLifeLIFE_LIVES, 3, 0): // what tries to merge it, see journey.Refuses
		return "skb3"
	}
	return ""
}

// role says what the kernel half has to know of the target: of its second packet too, if
// its life is about two.
func (t target) role() packetPathFunctionRole {
	at := uint8(t.argument.Register)
	switch {
	case t.life == journey.Makes:
		return roleOf(packetPathLifeLIFE_MAKES, 2, 1)
	case t.life == journey.Splits:
		return roleOf(packetPathLifeLIFE_SPLITS, 1, 2)
	case journey.Merges(kernel.BaseName(t.symbol.Name)) && at == 2:
		return roleOf(packetPathLifeLIFE_MERGES, 2, 1)
	}
	role := roleOf(packetPathLifeLIFE_LIVES, at, uint8(t.second))
	switch t.life {
	case journey.Ends:
		role.Life = uint8(packetPathLifeLIFE_ENDS)
	case journey.Late:
		role.Life = uint8(packetPathLifeLIFE_LATE)
	}
	if t.argument.Reference {
		return byReference(role)
	}
	return role
}

// roleOf is of functions that have the packet in one argument and, unless it is 0,
// another packet in the other.
func roleOf(life packetPathLife, packet, other uint8) packetPathFunctionRole {
	return packetPathFunctionRole{Life: uint8(life), Packet: packet, Other: other}
}

func byReference(role packetPathFunctionRole) packetPathFunctionRole {
	role.ByReference = 1
	return role
}

// suffixed reports whether the symbol has a name of the compiler's making.
func (t target) suffixed() bool { return kernel.BaseName(t.symbol.Name) != t.symbol.Name }

// selection is the outcome of choosing: every function with an skb argument is
// in one of its lists.
type selection struct {
	targets []target
	skipped []Miss
	total   int
	returns map[string]journey.Return
}

// follows reports whether there is more than where packets end and are made.
func (c *selection) follows() bool {
	return slices.ContainsFunc(c.targets, func(t target) bool {
		return t.life == journey.Lives || t.life == journey.Late
	})
}

// selector knows what there is to choose from.
type selector struct {
	options    *Options
	symbols    *kernel.Symbols
	suffixed   map[string][]kernel.Symbol
	attachable map[string]bool
}

// selectFunctions chooses the functions to attach: those with an skb argument
// in BTF that ftrace can attach to.
func selectFunctions(o *Options, known *facts) (*selection, error) {
	functions, err := readFunctions(o, known.cache)
	if err != nil {
		return nil, err
	}
	attachable, err := known.attachable()
	if err != nil {
		return nil, err
	}
	s := selector{options: o, symbols: known.symbols, suffixed: known.symbols.SuffixedByBase(), attachable: attachable}
	chosen := s.choose(functions)
	chosen.returns, err = s.returns(known.cache)
	return chosen, err
}

// returns are those that this kernel has and lets be traced.
func (s *selector) returns(cache *btf.Cache) (map[string]journey.Return, error) {
	spec, err := cache.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read kernel BTF: %w", err)
	}
	found := journey.Returns()
	maps.DeleteFunc(found, func(name string, _ journey.Return) bool {
		var f *btf.Func
		return !s.attachable[name] || len(s.symbols.Named(name)) != 1 || spec.TypeByName(name, &f) != nil
	})
	return found, nil
}

// readFunctions reads the skb functions of the kernel and of the modules asked
// for.
func readFunctions(o *Options, cache *btf.Cache) ([]kernel.Function, error) {
	spec, err := cache.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read kernel BTF: %w", err)
	}
	functions, err := kernel.SkbFunctions(spec, "")
	if err != nil {
		return nil, err
	}
	modules := o.Modules
	if o.AllModules {
		if modules, err = cache.Modules(); err != nil {
			return nil, fmt.Errorf("list kernel modules with BTF: %w", err)
		}
	}
	for _, module := range modules {
		spec, err := cache.Module(module)
		if err != nil {
			return nil, fmt.Errorf("read BTF of kernel module %q (is it loaded?): %w", module, err)
		}
		more, err := kernel.SkbFunctions(spec, module)
		if err != nil {
			return nil, err
		}
		functions = append(functions, more...)
	}
	return functions, nil
}

func (s *selector) choose(functions []kernel.Function) *selection {
	chosen := &selection{total: len(functions)}
	seen := make(map[string]bool)
	for _, f := range functions {
		if key := f.Module + " " + f.Name; seen[key] {
			continue
		} else {
			seen[key] = true
		}
		life := journey.LifeOf(f.Name)
		if !isWanted(life) && s.options.Functions != nil && !s.options.Functions.MatchString(f.Name) {
			continue
		}
		symbols, miss := s.resolve(f, life)
		if miss != "" {
			chosen.skipped = append(chosen.skipped, Miss{f.Name, miss})
			continue
		}
		chosen.add(f, life, symbols)
	}
	slices.SortFunc(chosen.targets, func(a, b target) int {
		return cmp.Compare(a.symbol.Address, b.symbol.Address)
	})
	return chosen
}

// isWanted: attached whatever the choice of functions.
func isWanted(life journey.Life) bool {
	return life == journey.Ends || life == journey.Makes || life == journey.Splits
}

// lastReference is the last argument in which a struct sk_buff ** points to a packet. As
// the sixth (__skb_try_recv_datagram) it points to where one is put.
const lastReference = 5

func (c *selection) add(f kernel.Function, life journey.Life, symbols []kernel.Symbol) {
	packets := packetsOf(f, life)
	if len(packets) == 0 {
		c.skipped = append(c.skipped, Miss{f.Name, "its struct sk_buff ** is for what it returns"})
		return
	}
	t := target{argument: packets[0], life: life}
	if f.Module == "" {
		t.id = f.ID
	}
	for i, packet := range packets[1:] {
		if i == 0 && !packet.Reference && !isWanted(life) {
			t.second = packet.Register
			continue
		}
		c.skipped = append(c.skipped, Miss{f.Name, fmt.Sprintf("at its packet in register %d: its program looks at others", packet.Register)})
	}
	for _, t.symbol = range symbols {
		c.targets = append(c.targets, t)
	}
}

// packetsOf are the arguments by which packets visit a function. Beside a packet, a struct
// sk_buff ** is where the function puts those that it lets go (to_free of a qdisc's enqueue).
func packetsOf(f kernel.Function, life journey.Life) []kernel.Argument {
	switch {
	case life == journey.Makes || life == journey.Splits:
		return f.Arguments[:1] // its program looks at both packets
	case journey.Merges(f.Name):
		return f.Arguments[len(f.Arguments)-1:]
	}
	var direct, references []kernel.Argument
	for _, argument := range f.Arguments {
		switch {
		case !argument.Reference:
			direct = append(direct, argument)
		case argument.Register <= lastReference:
			references = append(references, argument)
		}
	}
	if len(direct) > 0 {
		return direct
	}
	return references
}

// servesTracers reports whether a function is one that the kernel's tracing macros
// make of a tracepoint: it does nothing to a packet.
func servesTracers(function string) bool {
	return slices.ContainsFunc([]string{
		"__traceiter_", "__probestub_", "__bpf_trace_", "trace_event_raw_event_", "perf_trace_", "trace_event_get_offsets_",
	}, func(prefix string) bool { return strings.HasPrefix(function, prefix) })
}

// missGone is why nothing is attached to what journey.Gone says.
const missGone = "runs on packets that have ended or are not there yet"

// resolve finds the symbols of a function, or says why it is not attached.
func (s *selector) resolve(f kernel.Function, life journey.Life) (found []kernel.Symbol, miss string) {
	if life == journey.Gone {
		return nil, missGone
	}
	if servesTracers(f.Name) {
		return nil, "part of a tracepoint, runs for other tracers only"
	}
	for _, symbol := range s.symbols.Named(f.Name) {
		if symbol.Module == f.Module {
			found = append(found, symbol)
		}
	}
	if len(found) > 0 && s.attachable[f.Name] {
		return found, ""
	}
	for _, symbol := range s.suffixed[f.Name] {
		if symbol.Module == f.Module && s.attachable[symbol.Name] {
			return []kernel.Symbol{symbol}, ""
		}
	}
	if len(found) == 0 {
		return nil, "no symbol (inlined everywhere)"
	}
	return nil, "ftrace cannot attach (notrace, weak or init)"
}
