// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// Probe is the set of loaded and attached programs.
type Probe struct {
	options    *Options
	report     Report
	collection *ebpf.Collection
	attached   attachments
	reader     *ringbuf.Reader
	buckets    *ebpf.Variable
	snapshot   []packetPathBucket
	names      *names
	table      *table
	decoder    *decoder
	malformed  atomic.Uint64 // records that could not be decoded
}

// ErrNoBTF means that the kernel does not describe its types.
var ErrNoBTF = errors.New("no BTF in this kernel (CONFIG_DEBUG_INFO_BTF, /sys/kernel/btf/vmlinux)")

// Open chooses, loads and attaches, and only then lets journeys begin, so that
// none starts in the middle. On failure, the end of the context among them, nothing
// stays attached.
func Open(ctx context.Context, o *Options) (p *Probe, err error) {
	known, err := readFacts(o.Source)
	if err != nil {
		return nil, err
	}
	p = &Probe{options: o, attached: attachments{anchor: newAnchor(o.Log)}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	if p.names, err = newNames(known); err != nil {
		return p, err
	}
	if err := p.attach(ctx, known); err != nil {
		return p, err
	}
	p.decoder = &decoder{names: p.names}
	p.reader, err = ringbuf.NewReader(p.collection.Maps[packetPathMapRecords])
	if err != nil {
		return p, fmt.Errorf("open ring buffer: %w", err)
	}
	p.buckets = p.collection.Variables[packetPathVarBuckets]
	p.snapshot = make([]packetPathBucket, p.buckets.Size()/uint32(unsafe.Sizeof(packetPathBucket{})))
	return p, p.enable(true)
}

// attach takes the source asked for; auto falls back from functions to
// tracepoints where the kernel has no kprobes.
func (p *Probe) attach(ctx context.Context, known *facts) error {
	if p.options.Source.MayHaveFunctions() {
		backend, err := chooseBackend(p.options.Backend, known.cache)
		if err == nil {
			return p.attachFunctions(ctx, known, backend)
		}
		if p.options.Source == SourceFunctions || p.options.wantsFunctions() {
			return fmt.Errorf("source functions: %w", err)
		}
		p.options.Log.Info("tracing tracepoints instead of functions", "because", err)
		return p.attachTracepoints(ctx, known, SourceTracepoints)
	}
	return p.attachTracepoints(ctx, known, p.options.Source)
}

func (p *Probe) attachFunctions(ctx context.Context, known *facts, backend Backend) error {
	chosen, err := selectFunctions(p.options, known)
	if err != nil {
		return err
	}
	if !chosen.follows() {
		return fmt.Errorf("no function to attach to matches (of %d with an skb argument)", chosen.total)
	}
	drop, hasDrop := dropProgram(known.tracepoints)
	if p.table, err = newTable(functionsOf(chosen.targets)); err != nil {
		return err
	}
	p.table.setRoles(chosen.targets)
	plan, err := p.loadFunctions(ctx, known.cache, chosen, backend, drop)
	if err != nil {
		return err
	}
	progress := func(n int) {
		if p.options.Progress != nil {
			p.options.Progress(n, len(chosen.targets))
		}
	}
	if err := p.attached.attachPlan(ctx, p.collection.Programs, plan, backend, progress); err != nil {
		return err
	}
	if backend.seesReturns() {
		if err := p.names.readTrampolines(plan.traced); err != nil {
			return err
		}
	}
	p.report = Report{
		Source: SourceFunctions, Backend: backend, Attached: p.attached.count,
		Skipped: append(chosen.skipped, p.attached.skipped...),
	}
	if hasDrop {
		p.attached.attachTracepoint(dropTracepoint, p.collection.Programs[drop])
	}
	p.report.Refused = p.attached.refused
	return nil
}

// loadFunctions loads the programs for the functions chosen and, unless it is "",
// the one for drops. Where the kernel does not let functions be traced by
// trampolines, all is left to kprobes.
func (p *Probe) loadFunctions(ctx context.Context, cache *btf.Cache, chosen *selection, backend Backend, drop string) (*plan, error) {
	load := func(trampolines bool) (*plan, error) {
		plan := chosen.plan(backend, trampolines)
		want := plan.programs()
		want.add(packetPathProgExpireBucket)
		if drop != "" {
			want.add(drop)
		}
		return plan, p.load(ctx, cache, want, SourceFunctions, backend)
	}
	plan, err := load(true)
	if _, needsTrampolines := backend.tracingMulti(); err == nil || needsTrampolines || ctx.Err() != nil {
		return plan, err
	}
	p.options.Log.Warn("interrupts may hide where packets end: no trampolines in this kernel", "err", err)
	return load(false)
}

func (p *Probe) attachTracepoints(ctx context.Context, known *facts, source Source) (err error) {
	want := make(wanted)
	want.add(packetPathProgExpireBucket)
	attach := make(map[string]string) // program to tracepoint
	if err := p.names.readSubsystems(); err != nil {
		p.options.Log.Warn("tracepoints are named without their subsystems", "err", err)
	}
	for _, t := range known.tracepoints {
		if !source.has(t.Name) {
			continue
		}
		from, miss := tracepointProgram(t, known.tracepoints)
		if miss != "" {
			p.report.Skipped = append(p.report.Skipped, Miss{t.Name, miss})
			continue
		}
		program := "tp_" + t.Name
		want[program] = wantedProgram{from: from, number: p.names.addTracepoint(t.Name)}
		attach[program] = t.Name
	}
	if len(attach) == 0 {
		return fmt.Errorf("source %s: this kernel has no such raw tracepoint with an skb (CONFIG_TRACEPOINTS)", source)
	}
	if p.table, err = newTable(p.names.tracepointsByNumber()); err != nil {
		return err
	}
	if err := p.load(ctx, known.cache, want, source, ""); err != nil {
		return err
	}
	for program, tracepoint := range attach {
		if err := stopped(ctx); err != nil {
			return err
		}
		p.attached.attachTracepoint(tracepoint, p.collection.Programs[program])
	}
	p.report.Source = source
	p.report.Attached = p.attached.count
	p.report.Refused = p.attached.refused
	return nil
}

// tracepointProgram returns the program for a tracepoint, or says why it is not
// attached.
func tracepointProgram(t kernel.Tracepoint, all []kernel.Tracepoint) (program, miss string) {
	switch {
	case t.Name == dropTracepoint:
		program, _ = dropProgram(all)
	case t.Name == "consume_skb":
		program = packetPathProgTracepointConsumeSkb
	case journey.LifeOf(t.Name) == journey.Gone:
		miss = missGone
	case t.Argument > 5:
		miss = fmt.Sprintf("no program for an skb in argument %d", t.Argument)
	default:
		program = fmt.Sprintf("tracepoint_skb%d", t.Argument)
	}
	return program, miss
}

// load loads the programs. Their fast path asks more of the verifier than all else:
// should another kernel's not follow it, hops are only dearer without.
func (p *Probe) load(ctx context.Context, cache *btf.Cache, want wanted, source Source, backend Backend) error {
	l := &loading{
		options: p.options, cache: cache, symbols: p.names.symbols, table: p.table, source: source, backend: backend,
		fast: source == SourceFunctions && !backend.seesReturns() && !p.options.noFastPath,
	}
	err := p.loadBy(ctx, l, want)
	if refused := (*ebpf.VerifierError)(nil); l.fast && errors.As(err, &refused) {
		p.options.Log.Warn("this kernel's verifier refuses the fast path: hops cost more", "err", err)
		l.fast = false
		err = p.loadBy(ctx, l, want)
	}
	return err
}

func (p *Probe) loadBy(ctx context.Context, l *loading, want wanted) error {
	spec, err := l.prepare(want)
	if err != nil {
		return err
	}
	for _, program := range spec.Programs {
		switch {
		case program.Type == ebpf.Tracing && program.AttachTo == "":
			how, _ := l.backend.tracingMulti()
			program.AttachType = how.attachType
		case program.Type == ebpf.Kprobe && l.backend == BackendKprobe:
			program.AttachType = ebpf.AttachNone
		}
	}
	p.collection, err = newCollection(ctx, spec)
	return err
}

// newCollection loads, which takes the kernel seconds. At the end of the context
// it leaves that alone: nothing is attached yet, so that nobody has to wait.
func newCollection(ctx context.Context, spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
	type result struct {
		collection *ebpf.Collection
		err        error
	}
	loaded := make(chan result, 1)
	go func() {
		c, err := loadInParallel(spec)
		loaded <- result{c, err}
	}()
	select {
	case r := <-loaded:
		if r.err != nil {
			return nil, fmt.Errorf("load eBPF programs: %w", r.err)
		}
		return r.collection, nil
	case <-ctx.Done():
		go func() {
			if r := <-loaded; r.err == nil {
				r.collection.Close()
			}
		}()
		return nil, stopped(ctx)
	}
}

func (p *Probe) enable(on bool) error {
	if err := p.collection.Variables[packetPathVarEnabled].Set(uint32(flag(on))); err != nil {
		return fmt.Errorf("enable eBPF programs: %w", err)
	}
	return nil
}

// Record says whether journeys that begin from now on are recorded; otherwise
// they are only counted.
func (p *Probe) Record(on bool) error {
	if err := p.collection.Variables[packetPathVarRecording].Set(uint32(flag(on))); err != nil {
		return fmt.Errorf("set whether journeys are recorded: %w", err)
	}
	return nil
}

// Report says what was attached. Its lists are sorted by name.
func (p *Probe) Report() Report {
	r := p.report
	byName := func(a, b Miss) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	}
	slices.SortFunc(r.Refused, byName)
	slices.SortFunc(r.Skipped, byName)
	return r
}

// Close detaches all programs and frees the maps, or leaves it to the kernel's threads.
func (p *Probe) Close() error {
	var all []error
	if p.reader != nil {
		all = append(all, p.reader.Close())
	}
	all = append(all, p.attached.close())
	if p.collection != nil {
		p.collection.Close()
	}
	return errors.Join(all...)
}
