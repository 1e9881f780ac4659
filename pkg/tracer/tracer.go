// SPDX-License-Identifier: Apache-2.0

// Package tracer is the door to the kernel half: Open attaches to the running
// kernel, Run hands out journeys, Stats tells what was seen and what was not.
package tracer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
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
	Source     string // auto (also ""), functions, tracepoints
	Backend    string // auto (also ""), kprobe-multi, kprobe
	Functions  string // regular expression on whole function names, "" for all
	Modules    []string
	AllModules bool

	Filter    string // pcap expression, "" for every packet
	Netns     string // path, name below /run/netns or inode:NUMBER; "" for any
	Interface string // name, "" for any
	Mark      string // VALUE or VALUE/MASK, "" for any

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
}

// Open checks the configuration, loads and attaches. A *UsageError in the
// chain means that the caller asked for something that cannot be.
func Open(c Config) (*Tracer, error) {
	options, err := c.options()
	if err != nil {
		return nil, &UsageError{err}
	}
	if missing := missingCapabilities(); missing != "" {
		return nil, fmt.Errorf("not permitted: run as root or grant %s", missing)
	}
	p, err := probe.Open(options)
	if err != nil {
		return nil, explainPermission(err)
	}
	return &Tracer{
		probe: p, assembler: journey.NewAssembler(), traceIDs: traceIDs{rand.Uint64(), rand.Uint64()},
	}, nil
}

// Run hands every ended journey to emit, in the order of their ends, until the
// context is cancelled and what the kernel half had ended by then is emitted.
func (t *Tracer) Run(ctx context.Context, emit func(*journey.Journey)) error {
	return t.probe.Read(ctx, func(part *journey.Record) {
		whole := t.assembler.Add(part)
		if whole == nil {
			return
		}
		j := journey.Build(whole)
		j.TraceID = t.traceIDs.of(j.RootID)
		emit(j)
	})
}

// Close detaches everything.
func (t *Tracer) Close() error { return t.probe.Close() }

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

// Losses counts what the tracer could not see or keep.
func (t *Tracer) Losses() []journey.Loss {
	return append(t.probe.Losses(), journey.Loss{
		What: "journey", Cause: "parts_limit", Count: t.assembler.Lost(),
	})
}

// traceIDs makes one trace id of each root journey, the same for all that
// descend from it, with nothing to remember but two random keys.
type traceIDs [2]uint64

func (keys traceIDs) of(root uint64) journey.TraceID {
	var id journey.TraceID
	binary.BigEndian.PutUint64(id[:8], journey.Mix(root^keys[0]))
	binary.BigEndian.PutUint64(id[8:], journey.Mix(root^keys[1]))
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
	return o, errors.Join(c.setSource(o), c.setFilter(o))
}

func (c *Config) setSource(o *probe.Options) error {
	if c.Source != "" {
		o.Source = probe.Source(c.Source)
	}
	if c.Backend != "" {
		o.Backend = probe.Backend(c.Backend)
	}
	switch {
	case c.MaxHops < 0 || c.Timeout < 0:
		return errors.New("journey limits must not be negative")
	case o.Source == probe.SourceTracepoints && o.Backend != probe.BackendAuto:
		return fmt.Errorf("backend %s attaches to functions: it does not go with source tracepoints", o.Backend)
	case o.Source == probe.SourceTracepoints && (c.Functions != "" || len(c.Modules) > 0 || c.AllModules):
		return errors.New("a choice of functions or modules does not go with source tracepoints")
	case c.AllModules && len(c.Modules) > 0:
		return errors.New("all modules and a list of modules do not go together")
	}
	if c.Functions == "" {
		return nil
	}
	expression, err := regexp.Compile("^(?:" + c.Functions + ")$")
	if err != nil {
		return fmt.Errorf("functions %q: %w", c.Functions, err)
	}
	o.Functions = expression
	return nil
}

func (c *Config) setFilter(o *probe.Options) (err error) {
	if o.Filter, err = filter.Compile(c.Filter); err != nil {
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
	return uint32(m), uint32(k), nil
}
