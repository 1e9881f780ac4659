// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
)

// Probe is the set of loaded and attached programs.
type Probe struct {
	options    *Options
	report     Report
	collection *ebpf.Collection
	attached   attachments
	reader     *ringbuf.Reader
	buckets    *ebpf.Memory // the kernel's, read in place
	snapshot   []byte       // of buckets
	names      *names
	decoder    *decoder
	malformed  atomic.Uint64 // records that could not be decoded
}

// ErrNoBTF means that the kernel does not describe its types.
var ErrNoBTF = errors.New("no BTF in this kernel (CONFIG_DEBUG_INFO_BTF, /sys/kernel/btf/vmlinux)")

// Open chooses, loads and attaches, and only then lets journeys begin, so that
// none starts in the middle. On failure nothing stays attached.
func Open(o *Options) (p *Probe, err error) {
	cache := btf.NewCache()
	if _, err := cache.Kernel(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBTF, err)
	}
	tracepoints, err := tracepointsOf(cache)
	if err != nil {
		return nil, err
	}
	p = &Probe{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	if p.names, err = newNames(cache); err != nil {
		return p, err
	}
	if err := p.attach(cache, tracepoints); err != nil {
		return p, err
	}
	p.decoder = &decoder{names: p.names}
	p.reader, err = ringbuf.NewReader(p.collection.Maps[packetPathMapRecords])
	if err != nil {
		return p, fmt.Errorf("open ring buffer: %w", err)
	}
	p.buckets, err = p.collection.Maps[packetPathMapBuckets].Memory()
	if err != nil {
		return p, fmt.Errorf("map the journeys in flight: %w", err)
	}
	p.snapshot = make([]byte, p.buckets.Size())
	return p, p.enable(true)
}

// attach takes the source asked for; auto falls back from functions to
// tracepoints where the kernel has no kprobes.
func (p *Probe) attach(cache *btf.Cache, tracepoints []kernel.Tracepoint) error {
	if p.options.Source != SourceTracepoints {
		backend, err := kprobeBackend(p.options.Backend)
		if err == nil {
			return p.attachFunctions(cache, tracepoints, backend)
		}
		if p.options.Source == SourceFunctions || p.options.Backend != BackendAuto {
			return fmt.Errorf("source functions: %w", err)
		}
		p.options.Log.Info("tracing tracepoints instead of functions", "because", err)
	}
	return p.attachTracepoints(cache, tracepoints)
}

func (p *Probe) attachFunctions(cache *btf.Cache, tracepoints []kernel.Tracepoint, backend Backend) error {
	chosen, err := selectFunctions(p.options, cache, p.names.symbols)
	if err != nil {
		return err
	}
	if !chosen.follows() {
		return fmt.Errorf("no function to attach to matches (of %d with an skb argument)", chosen.total)
	}
	want := wanted{packetPathProgExpireBucket: {from: packetPathProgExpireBucket}}
	for _, t := range chosen.targets {
		want[t.program()] = wantedProgram{from: t.program()}
	}
	drop, hasDrop := dropProgram(tracepoints)
	if hasDrop {
		want[drop] = wantedProgram{from: drop}
	}
	if err := p.load(cache, want, SourceFunctions, backend); err != nil {
		return err
	}
	progress := func(n int) {
		if p.options.Progress != nil {
			p.options.Progress(n, len(chosen.targets))
		}
	}
	attach := p.attached.attachKprobeMulti
	if backend == BackendKprobe {
		attach = p.attached.attachKprobes
	}
	if err := attach(p.collection.Programs, chosen.targets, progress); err != nil {
		return err
	}
	p.report = Report{
		Source: SourceFunctions, Backend: backend, Attached: p.attached.count,
		Skipped: append(chosen.skipped, p.attached.skipped...),
	}
	if hasDrop {
		p.attached.attachTracepoint("kfree_skb", p.collection.Programs[drop])
	}
	p.report.Refused = p.attached.refused
	return nil
}

func (p *Probe) attachTracepoints(cache *btf.Cache, tracepoints []kernel.Tracepoint) error {
	want := wanted{packetPathProgExpireBucket: {from: packetPathProgExpireBucket}}
	attach := make(map[string]string) // program to tracepoint
	for _, t := range tracepoints {
		from, ok := tracepointProgram(t, tracepoints)
		if !ok {
			p.report.Skipped = append(p.report.Skipped, Miss{t.Name, fmt.Sprintf("no program for an skb in argument %d", t.Argument)})
			continue
		}
		program := "tp_" + t.Name
		want[program] = wantedProgram{from: from, number: p.names.addTracepoint(t.Name)}
		attach[program] = t.Name
	}
	if len(attach) == 0 {
		return errors.New("no raw tracepoint of this kernel has an skb (CONFIG_TRACEPOINTS)")
	}
	if err := p.load(cache, want, SourceTracepoints, ""); err != nil {
		return err
	}
	for program, tracepoint := range attach {
		p.attached.attachTracepoint(tracepoint, p.collection.Programs[program])
	}
	p.report.Source = SourceTracepoints
	p.report.Attached = p.attached.count
	p.report.Refused = p.attached.refused
	return nil
}

func tracepointProgram(t kernel.Tracepoint, all []kernel.Tracepoint) (program string, ok bool) {
	switch {
	case t.Name == "kfree_skb":
		return dropProgram(all)
	case t.Name == "consume_skb":
		return packetPathProgTracepointConsumeSkb, true
	case t.Argument > 5:
		return "", false
	}
	return fmt.Sprintf("tracepoint_skb%d", t.Argument), true
}

func (p *Probe) load(cache *btf.Cache, want wanted, source Source, backend Backend) error {
	spec, err := prepare(p.options, cache, want, source)
	if err != nil {
		return err
	}
	if backend == BackendKprobe {
		for _, program := range spec.Programs {
			if program.Type == ebpf.Kprobe {
				program.AttachType = ebpf.AttachNone
			}
		}
	}
	p.collection, err = ebpf.NewCollection(spec)
	if err != nil {
		return fmt.Errorf("load eBPF programs: %w", err)
	}
	return nil
}

func (p *Probe) enable(on bool) error {
	if err := p.collection.Variables[packetPathVarEnabled].Set(uint32(flag(on))); err != nil {
		return fmt.Errorf("enable eBPF programs: %w", err)
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

// Close detaches all programs and frees the maps.
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
