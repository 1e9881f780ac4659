// SPDX-License-Identifier: Apache-2.0

// Package tracer is the door to the kernel half: Open attaches to the running
// kernel, Run hands out journeys, Drops and its
// like tell what was seen, Losses what was not.
package tracer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/internal/filter"
	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/internal/probe"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// Config says what to attach to and which packets to follow. Its zero value
// follows every packet by the best mechanism the kernel has.
type Config struct {
	Source     string // auto (also ""), functions, tracepoints, drops
	Backend    string // auto (also ""), fentry-multi, fsession-multi, kprobe-multi, kprobe
	Functions  string // regular expression on whole function names, "" for all
	Modules    []string
	AllModules bool

	Filter    string // pcap expression, "" for every packet
	Netns     string // path, name below /run/netns or inode:NUMBER; "" for any
	Interface string // name, "" for any
	Mark      string // VALUE or VALUE/MASK, "" for any

	// Keep says which journeys become traces: all, dropped, slow:DURATION; nil
	// for all. Metrics cover every packet in any case.
	Keep []string
	// Sample thins what all keeps to one in N, as 1/N; "" for no thinning.
	Sample string
	// RateLimit is how many journeys a second are kept at most, as N/s; "" for
	// no limit.
	RateLimit string

	Timeout time.Duration // a journey not seen for so long expires; 0 for 30 s
	MaxHops int           // recorded of one journey; 0 for 1024

	Log      *slog.Logger
	Progress func(attached, total int) // may be nil
}

// Defaults of Config.
const (
	DefaultTimeout = 30 * time.Second
	DefaultMaxHops = 1024
)

// UsageError means that the configuration itself is wrong, whatever the kernel.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Tracer follows packets until it is closed.
type Tracer struct {
	probe     *probe.Probe
	assembler *journey.Assembler
	traceIDs  traceIDs
	sampling  journey.Sampling // of a journey that was not kept for certain
	naming    *naming
}

// Validate returns a *UsageError where the configuration asks for what cannot be,
// whatever the kernel. Open does the same.
func (c *Config) Validate() error {
	_, err := c.options()
	return err
}

// Open checks the configuration, loads and attaches. A *UsageError in the
// chain means that the caller asked for something that cannot be. When the context
// ends before all is attached, what is gets detached, and the error is its cause.
func Open(ctx context.Context, c Config) (*Tracer, error) {
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	if missing := missingCapabilities(); missing != "" {
		return nil, fmt.Errorf("not permitted: run as root or grant %s", missing)
	}
	p, err := probe.Open(ctx, options)
	if err != nil {
		return nil, explainPermission(err)
	}
	naming, err := openNaming(options.Log)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &Tracer{
		probe: p, naming: naming, assembler: journey.NewAssembler(), traceIDs: traceIDs{rand.Uint64(), rand.Uint64()},
		sampling: journey.Sampling{Threshold: options.Threshold, Unknown: options.RateLimit != 0},
	}, nil
}

// Run hands every ended journey to emit, in the order of their ends, until the
// context is cancelled and what the kernel half had ended by then is emitted.
func (t *Tracer) Run(ctx context.Context, emit func(*journey.Journey)) error {
	return t.probe.Read(ctx, func(part *journey.Record) {
		whole := t.assembler.Add(part)
		if whole == nil || whole.Unwanted {
			return
		}
		j := journey.Build(whole)
		j.TraceID = t.traceIDs.of(j.RootID, whole.Random)
		j.Sampling = t.sampling
		if whole.Certain {
			j.Sampling.Threshold = 0
		}
		t.naming.complete(j, whole.Cgroup)
		emit(j)
	})
}

// Close detaches everything.
func (t *Tracer) Close() error { return errors.Join(t.probe.Close(), t.naming.close()) }

// Report is what a Tracer attached to, and what it could not attach to and why.
type Report = probe.Report

// Miss is one function or tracepoint of a Report.
type Miss = probe.Miss

// Report says what is attached and what is not.
func (t *Tracer) Report() Report { return t.probe.Report() }

// Probes counts functions or tracepoints by state.
func (t *Tracer) Probes() []journey.ProbeCount {
	r := t.probe.Report()
	return []journey.ProbeCount{
		{State: "attached", Count: r.Attached},
		{State: "refused", Count: len(r.Refused)},
		{State: "skipped", Count: len(r.Skipped)},
	}
}

// Drops is the host-wide count of dropped packets, whatever the filter.
func (t *Tracer) Drops() ([]journey.DropCount, error) { return t.probe.Drops() }

// Functions counts the visits of followed packets, kept as journeys or not, to
// every function or tracepoint that had any.
func (t *Tracer) Functions() ([]journey.FunctionCount, error) { return t.probe.Functions() }

// Waits counts waits of followed packets, kept or not.
func (t *Tracer) Waits() ([]journey.WaitCount, error) { return t.probe.Waits() }

// Outcomes counts how followed packets ended, kept or not.
func (t *Tracer) Outcomes() ([]journey.OutcomeCount, error) { return t.probe.Outcomes() }

// Record says whether journeys that begin from now on are recorded for Run to
// emit, as they are at first. Without, packets are only counted, at a part of the cost.
func (t *Tracer) Record(on bool) error { return t.probe.Record(on) }

// Losses counts what the tracer could not see or keep.
func (t *Tracer) Losses() []journey.Loss {
	all := append(t.probe.Losses(), journey.Loss{
		What: "part", Cause: "parts_limit", Count: t.assembler.Lost(),
	})
	return append(all, t.naming.losses()...)
}

// traceIDs makes one trace id of each root journey, the same for all that
// descend from it, with nothing to remember but two random keys. The 56 bits
// that OpenTelemetry's sampling goes by begin with those the kernel half went by.
type traceIDs [2]uint64

func (keys traceIDs) of(root uint64, random uint32) journey.TraceID {
	var id journey.TraceID
	binary.BigEndian.PutUint64(id[:8], journey.Mix(root^keys[0]))
	binary.BigEndian.PutUint64(id[8:], journey.Mix(root^keys[1]))
	binary.BigEndian.PutUint32(id[9:], random)
	return id
}

func (c *Config) options() (*probe.Options, error) {
	o := &probe.Options{
		Source: probe.SourceAuto, Backend: probe.BackendAuto,
		Modules: c.Modules, AllModules: c.AllModules,
		Timeout: c.Timeout, MaxHops: uint32(c.MaxHops),
		Log: c.Log, Progress: c.Progress,
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if c.MaxHops == 0 {
		o.MaxHops = DefaultMaxHops
	}
	if err := errors.Join(c.setSource(o), c.setFilter(o), c.setKeep(o)); err != nil {
		return nil, &UsageError{err}
	}
	return o, nil
}

func (c *Config) setSource(o *probe.Options) error {
	if c.Source != "" {
		o.Source = probe.Source(c.Source)
	}
	if c.Backend != "" {
		o.Backend = probe.Backend(c.Backend)
	}
	switch {
	case c.MaxHops < 0 || c.MaxHops > math.MaxUint32:
		return fmt.Errorf("max hops %d: must be from 1 to %d", c.MaxHops, uint32(math.MaxUint32))
	case c.Timeout < 0:
		return fmt.Errorf("timeout %v: must be above zero", c.Timeout)
	case !o.Source.MayHaveFunctions() && o.Backend != probe.BackendAuto:
		return fmt.Errorf("backend %s attaches to functions: it does not go with source %s", o.Backend, o.Source)
	case !o.Source.MayHaveFunctions() && (c.Functions != "" || len(c.Modules) > 0 || c.AllModules):
		return fmt.Errorf("a choice of functions or modules does not go with source %s", o.Source)
	case c.AllModules && len(c.Modules) > 0:
		return errors.New("all modules and a list of modules do not go together")
	}
	return c.setFunctions(o)
}

func (c *Config) setFunctions(o *probe.Options) error {
	if c.Functions == "" {
		return nil
	}
	// By itself first: a)|(b would be another expression within parentheses.
	_, err := regexp.Compile(c.Functions)
	if err == nil {
		o.Functions, err = regexp.Compile("^(?:" + c.Functions + ")$")
	}
	if err != nil {
		return fmt.Errorf("functions %q: %w", c.Functions, err)
	}
	return nil
}

func (c *Config) setFilter(o *probe.Options) (err error) {
	if o.Filter, o.Capture, err = filter.Compile(c.Filter); err != nil {
		return err
	}
	// A packet that leaves by a VLAN device gets its tag on its way.
	o.NeverSettled = regexp.MustCompile(`\bvlan\b`).MatchString(c.Filter)
	if c.Netns != "" {
		if o.Netns, err = kernel.NetnsInode(c.Netns); err != nil {
			return err
		}
	}
	const nameSize = 16 // IFNAMSIZ
	if len(c.Interface) >= nameSize {
		return fmt.Errorf("interface %q: names have at most %d characters", c.Interface, nameSize-1)
	}
	o.Interface = c.Interface
	if c.Mark != "" {
		o.Mark, o.MarkMask, err = parseMark(c.Mark)
	}
	return err
}

// parseMark reads VALUE or VALUE/MASK, decimal or with 0x.
func parseMark(text string) (mark, mask uint32, err error) {
	value, maskText, hasMask := strings.Cut(text, "/")
	m, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("mark %q: %q is not a 32-bit number", text, value)
	}
	if !hasMask {
		return uint32(m), ^uint32(0), nil
	}
	k, err := strconv.ParseUint(maskText, 0, 32)
	if err != nil || k == 0 {
		return 0, 0, fmt.Errorf("mark %q: %q is not a 32-bit mask", text, maskText)
	}
	if m&^k != 0 {
		return 0, 0, fmt.Errorf("mark %q: no packet has it, since %s has bits that are not in the mask", text, value)
	}
	return uint32(m), uint32(k), nil
}
