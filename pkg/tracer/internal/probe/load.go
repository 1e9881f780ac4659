// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

const (
	// filterStub is the subprogram whose body the pcap filter replaces.
	filterStub = "filter_frame"
	// tracepointMark stands in the code where a tracepoint's number goes.
	tracepointMark = 0x5ebacafe
	// multiplierMark stands where the multiplier of the table goes.
	multiplierMark = 0x5eba1e55
	// countsSection holds nothing but function_counts.
	countsSection = ".data.counts"

	functionCountSize = uint64(unsafe.Sizeof(packetPathFunctionCount{}))
)

// wanted maps the name of each program to load to the name of the program in the
// ELF that it is made of, and what is its own.
type wanted map[string]wantedProgram

type wantedProgram struct {
	from     string
	number   int32  // of a tracepoint
	function string // that the program is for, "" for one that serves many
}

// add wants the program as it is in the ELF.
func (w wanted) add(name string) { w[name] = wantedProgram{from: name} }

// addKinds wants the programs that the targets need.
func (w wanted) addKinds(prefix string, targets []target) {
	for _, t := range targets {
		w.add(prefix + t.kind())
	}
}

// loading is what all programs of a collection are loaded with.
type loading struct {
	options *Options
	cache   *btf.Cache
	symbols *kernel.Symbols
	table   *table
	source  Source
	backend Backend
	fast    bool // hops may take the path of fast.h
}

// prepare cuts the collection down to the programs wanted and settles all that
// is decided before loading.
func (l *loading) prepare(want wanted) (*ebpf.CollectionSpec, error) {
	spec, err := loadPacketPath()
	if err != nil {
		return nil, fmt.Errorf("read eBPF object: %w", err)
	}
	elf := maps.Clone(spec.Programs)
	clear(spec.Programs)
	for name, w := range want {
		program := elf[w.from].Copy()
		program.Name = name
		if program.Type == ebpf.Tracing {
			program.AttachTo = w.function
		}
		setConstant(program.Instructions, tracepointMark, w.number)
		if len(l.options.Filter) > 0 {
			if program.Instructions, err = replaceFilter(program.Instructions, l.options.Filter); err != nil {
				return nil, err
			}
		}
		spec.Programs[name] = program
	}
	if err := l.size(spec); err != nil {
		return nil, err
	}
	if err := l.table.store(spec); err != nil {
		return nil, err
	}
	return spec, l.configure(spec)
}

func (l *loading) size(spec *ebpf.CollectionSpec) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	spec.Maps[packetPathMapFrames].MaxEntries = uint32(cpus)
	if err := l.sizeCounts(spec, cpus); err != nil {
		return err
	}
	if n := l.options.series; n > 0 {
		spec.Maps[packetPathMapDrops].MaxEntries, spec.Maps[packetPathMapWaitCounts].MaxEntries = n, n
	}
	return nil
}

// sizeCounts gives every function its counts on every CPU.
func (l *loading) sizeCounts(spec *ebpf.CollectionSpec, cpus int) error {
	size := uint64(cpus) * uint64(len(l.table.functions)) * functionCountSize
	if size > math.MaxInt32 {
		return fmt.Errorf("counts of %d functions on %d CPUs take %d bytes, more than a map holds: choose fewer functions by name",
			len(l.table.functions), cpus, size)
	}
	counts := spec.Maps[countsSection]
	counts.ValueSize = uint32(size)
	counts.Key, counts.Value, counts.Contents = nil, nil, nil // they are of one function
	return nil
}

func (l *loading) configure(spec *ebpf.CollectionSpec) error {
	o := l.options
	config := packetPathTracerConfig{
		Interface:   kernel.NameWords(o.Interface),
		Netns:       o.Netns,
		Mark:        o.Mark & o.MarkMask,
		MarkMask:    o.MarkMask,
		MaxHops:     o.MaxHops,
		Capture:     uint32(o.Capture),
		Keep:        keep(o),
		SlowNs:      uint64(o.KeepSlow.Nanoseconds()),
		Threshold:   o.Threshold,
		RateLimit:   o.RateLimit,
		Filtered:    flag(len(o.Filter) > 0),
		DirectLoads: flag(l.loadsDirectly()),
		DropEnds:    flag(l.source != SourceFunctions),

		Functions:       uint32(len(l.table.functions)),
		LastCounts:      uint64(spec.Maps[countsSection].ValueSize) - functionCountSize,
		SeesReturns:     flag(l.backend.seesReturns()),
		FastPath:        flag(l.fast),
		MasksInterrupts: flag(l.hasFunction("bpf_local_irq_save")), // 6.14

		// Without every end, a rejection may outlive its packet.
		NeverSettled: flag(o.NeverSettled || l.source != SourceFunctions),
	}
	if parts := l.symbols.Named(journey.PartsEnd); len(parts) == 1 {
		config.Parts, config.PartsSize = parts[0].Address, l.symbols.Size(parts[0])
	}
	if remaker := l.symbols.Named(journey.Remaker); len(remaker) == 1 {
		config.Remaker, config.RemakerSize = remaker[0].Address, l.symbols.Size(remaker[0])
	}
	if err := spec.Variables[packetPathVarConfig].Set(config); err != nil {
		return fmt.Errorf("configure eBPF programs: %w", err)
	}
	return nil
}

func keep(o *Options) uint8 {
	return flag(o.KeepAll)*uint8(packetPathKeepKEEP_ALL) |
		flag(o.KeepDropped)*uint8(packetPathKeepKEEP_DROPPED) |
		flag(o.KeepSlow > 0)*uint8(packetPathKeepKEEP_SLOW)
}

func flag(set bool) uint8 {
	if set {
		return 1
	}
	return 0
}

// loadsDirectly reports whether the kernel has bpf_rdonly_cast (6.2, a35b9af4ec2c), and the
// layout that programs count on where they use it.
func (l *loading) loadsDirectly() bool {
	return l.hasFunction("bpf_rdonly_cast") && l.headersAdjoin()
}

// headersAdjoin reports whether a packet has its protocol and the offsets of its headers
// in the order in which header_offsets() of bpf/skb.h reads them.
func (l *loading) headersAdjoin() bool {
	spec, err := l.cache.Kernel()
	if err != nil {
		return false
	}
	var skb *btf.Struct
	if err := spec.TypeByName("sk_buff", &skb); err != nil {
		return false
	}
	first, found := kernel.OffsetOf(skb, "protocol")
	network, foundNetwork := kernel.OffsetOf(skb, "network_header")
	mac, foundMAC := kernel.OffsetOf(skb, "mac_header")
	return found && foundNetwork && foundMAC && network == first+4 && mac == first+6
}

// hasFunction reports whether the kernel has a function that programs may call.
func (l *loading) hasFunction(name string) bool {
	spec, err := l.cache.Kernel()
	if err != nil {
		return false
	}
	var f *btf.Func
	return spec.TypeByName(name, &f) == nil
}

// setConstant puts the number in place of the mark.
func setConstant(instructions asm.Instructions, mark uint32, number int32) {
	for i := range instructions {
		if instructions[i].OpCode.Class().IsALU() && uint32(instructions[i].Constant) == mark {
			instructions[i].Constant = int64(number)
		}
	}
}

// replaceFilter puts body in place of the subprogram filter_frame. Programs
// that do not filter have none.
func replaceFilter(program, body asm.Instructions) (asm.Instructions, error) {
	begin := -1
	end := len(program)
	for i := range program {
		isFunction := btf.FuncMetadata(&program[i]) != nil
		if isFunction && begin >= 0 {
			end = i
			break
		}
		if program[i].Symbol() == filterStub {
			begin = i
		}
	}
	if begin < 0 {
		return program, nil
	}
	if len(body) == 0 {
		return nil, errors.New("empty filter")
	}
	// A first instruction without effect carries the symbol, the type and the
	// line of the stub: the kernel wants them at the subprogram's start.
	entry := asm.Mov.Reg(asm.R0, asm.R1)
	entry.Metadata = program[begin].Metadata
	replaced := make(asm.Instructions, 0, len(program)+len(body))
	replaced = append(replaced, program[:begin]...)
	replaced = append(replaced, entry)
	replaced = append(replaced, body...)
	return append(replaced, program[end:]...), nil
}

// loadInParallel loads the maps, then the programs on all CPUs: the verifier takes
// its time for each of them.
func loadInParallel(spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
	programs := spec.Programs
	spec.Programs = nil
	whole, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, err
	}
	whole.Programs = make(map[string]*ebpf.Program, len(programs))
	var (
		mu     sync.Mutex
		failed error // the first
		wait   sync.WaitGroup
	)
	for _, part := range split(programs, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			loaded, err := loadPart(spec, part, whole.Maps)
			mu.Lock()
			defer mu.Unlock()
			if failed == nil {
				failed = err
			}
			maps.Copy(whole.Programs, loaded)
		})
	}
	wait.Wait()
	if failed != nil {
		whole.Close()
		return nil, failed
	}
	return whole, nil
}

// split deals the programs out to at most n parts.
func split(programs map[string]*ebpf.ProgramSpec, n int) []map[string]*ebpf.ProgramSpec {
	parts := make([]map[string]*ebpf.ProgramSpec, min(n, len(programs)))
	for i := range parts {
		parts[i] = make(map[string]*ebpf.ProgramSpec)
	}
	for i, name := range slices.Sorted(maps.Keys(programs)) {
		parts[i%len(parts)][name] = programs[name]
	}
	return parts
}

// loadPart loads programs that use maps that are there.
func loadPart(spec *ebpf.CollectionSpec, programs map[string]*ebpf.ProgramSpec, there map[string]*ebpf.Map) (map[string]*ebpf.Program, error) {
	part := &ebpf.CollectionSpec{
		Maps: make(map[string]*ebpf.MapSpec, len(spec.Maps)), Programs: programs,
		Types: spec.Types, ByteOrder: spec.ByteOrder,
	}
	for name, m := range spec.Maps {
		empty := *m
		empty.Contents = nil
		part.Maps[name] = &empty
	}
	c, err := ebpf.NewCollectionWithOptions(part, ebpf.CollectionOptions{MapReplacements: there})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	loaded := make(map[string]*ebpf.Program, len(programs))
	for name := range programs {
		loaded[name] = c.DetachProgram(name)
	}
	return loaded, nil
}
