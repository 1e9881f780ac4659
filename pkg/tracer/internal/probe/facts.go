// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"sync"

	"github.com/cilium/ebpf/btf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
)

// facts are what has to be known of the running kernel before anything is loaded.
type facts struct {
	cache       *btf.Cache
	tracepoints []kernel.Tracepoint
	symbols     *kernel.Symbols
	attachable  func() (map[string]bool, error) // the names of functions; for functions only
}

// readFacts reads the kernel's lists of names, which it takes long to write, while the
// types are decoded.
func readFacts(source Source) (*facts, error) {
	known := &facts{cache: btf.NewCache(), attachable: sync.OnceValues(readAttachable)}
	if _, err := known.cache.Kernel(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBTF, err)
	}
	symbols := sync.OnceValues(kernel.ReadSymbols)
	go func() { _, _ = symbols() }() // the result is asked for again, below
	if source.MayHaveFunctions() {
		go func() { _, _ = known.attachable() }() // and by selectFunctions()
	}
	var err error
	if known.tracepoints, err = tracepointsOf(known.cache); err != nil {
		return nil, err
	}
	known.symbols, err = symbols()
	return known, err
}

func readAttachable() (map[string]bool, error) {
	tracefs, err := kernel.OpenTracefs()
	if err != nil {
		return nil, err
	}
	defer tracefs.Close()
	return tracefs.Attachable()
}

// tracepointsOf returns the raw tracepoints with an skb argument of the kernel
// and all loaded modules.
func tracepointsOf(cache *btf.Cache) ([]kernel.Tracepoint, error) {
	spec, err := cache.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read kernel BTF: %w", err)
	}
	found, err := kernel.SkbTracepoints(spec)
	if err != nil {
		return nil, err
	}
	modules, err := cache.Modules()
	if err != nil {
		return found, nil // no BTF of modules: the kernel's own are enough to run
	}
	for _, module := range modules {
		spec, err := cache.Module(module)
		if err != nil {
			continue
		}
		more, err := kernel.SkbTracepoints(spec)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return dedupe(found), nil
}

func dedupe(tracepoints []kernel.Tracepoint) []kernel.Tracepoint {
	seen := make(map[string]bool)
	var kept []kernel.Tracepoint
	for _, t := range tracepoints {
		if !seen[t.Name] {
			seen[t.Name] = true
			kept = append(kept, t)
		}
	}
	return kept
}
