// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
)

// attachments are the links of one Probe.
type attachments struct {
	links   []link.Link
	refused []Miss
	skipped []Miss
	count   int
}

func (a *attachments) add(l link.Link, count int) {
	a.links = append(a.links, l)
	a.count += count
}

// close detaches all. One perf kprobe takes some 10 ms to detach, in the
// kernel and not on a CPU, so that many at a time go faster.
func (a *attachments) close() error {
	const workers = 64
	queue := make(chan link.Link)
	failures := make(chan error, len(a.links))
	var wait sync.WaitGroup
	for range min(workers, len(a.links)) {
		wait.Go(func() {
			for l := range queue {
				if err := l.Close(); err != nil {
					failures <- err
				}
			}
		})
	}
	for _, l := range a.links {
		queue <- l
	}
	close(queue)
	wait.Wait()
	close(failures)
	var all []error
	for err := range failures {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// attachKprobeMulti attaches one link a program. Functions that the kernel
// refuses are found by halving, so that one does not cost the others.
func (a *attachments) attachKprobeMulti(programs map[string]*ebpf.Program, targets []target, progress func(int)) error {
	groups := make(map[string][]target)
	for _, t := range targets {
		groups[t.program()] = append(groups[t.program()], t)
	}
	for name, group := range groups {
		if err := a.attachGroup(programs[name], group); err != nil {
			return err
		}
		progress(a.count)
	}
	return nil
}

func (a *attachments) attachGroup(program *ebpf.Program, group []target) error {
	addresses := make([]uintptr, len(group))
	for i, t := range group {
		addresses[i] = uintptr(t.symbol.Address)
	}
	l, err := link.KprobeMulti(program, link.KprobeMultiOptions{Addresses: addresses})
	if err == nil {
		a.add(l, len(group))
		return nil
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("attach functions: %w", err)
	}
	if len(group) == 1 {
		a.refused = append(a.refused, Miss{group[0].symbol.Name, err.Error()})
		return nil
	}
	half := len(group) / 2
	if err := a.attachGroup(program, group[:half]); err != nil {
		return err
	}
	return a.attachGroup(program, group[half:])
}

// attachKprobes attaches one perf event a function, by name. Where several
// functions share a name the kernel cannot tell which is meant: they are left
// out.
func (a *attachments) attachKprobes(programs map[string]*ebpf.Program, targets []target, progress func(int)) error {
	if err := allowFiles(2*uint64(len(targets)) + 256); err != nil {
		return err
	}
	shared := sharedNames(targets)
	for name := range shared {
		a.skipped = append(a.skipped, Miss{name, "several functions have this name, and kprobes attach by name"})
	}
	for _, t := range targets {
		if shared[t.symbol.Name] {
			continue
		}
		l, err := link.Kprobe(t.symbol.Name, programs[t.program()], nil)
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("attach kprobe to %s: %w", t.symbol.Name, err)
		}
		if err != nil {
			a.refused = append(a.refused, Miss{t.symbol.Name, err.Error()})
			continue
		}
		a.add(l, 1)
		progress(a.count)
	}
	return nil
}

// allowFiles raises the limit of open files to n where it is lower: a perf
// kprobe takes two.
func allowFiles(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if limit.Cur >= n {
		return nil
	}
	limit.Cur, limit.Max = n, max(n, limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files to %d: %w", n, err)
	}
	return nil
}

// sharedNames returns the names that stand for more than one function.
func sharedNames(targets []target) map[string]bool {
	addresses := make(map[string]uint64)
	shared := make(map[string]bool)
	for _, t := range targets {
		if address, known := addresses[t.symbol.Name]; known && address != t.symbol.Address {
			shared[t.symbol.Name] = true
		}
		addresses[t.symbol.Name] = t.symbol.Address
	}
	return shared
}

// attachTracepoint attaches a raw tracepoint. cilium/ebpf finds the module
// that has it, where it is loaded.
func (a *attachments) attachTracepoint(name string, program *ebpf.Program) {
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: program})
	if err != nil {
		a.refused = append(a.refused, Miss{name, err.Error()})
		return
	}
	a.add(l, 1)
}

// kprobeBackend returns the mechanism to attach functions with, or an error
// that says which kernel feature is missing.
func kprobeBackend(asked Backend) (Backend, error) {
	if asked != BackendKprobe {
		err := features.HaveBPFLinkKprobeMulti()
		if err == nil {
			return BackendKprobeMulti, nil
		}
		if asked == BackendKprobeMulti {
			return "", fmt.Errorf("no kprobe-multi links in this kernel (5.18 with CONFIG_FPROBE): %w", err)
		}
	}
	if _, err := os.Stat("/sys/bus/event_source/devices/kprobe"); err != nil {
		return "", errors.New("no kprobes in this kernel (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)")
	}
	return BackendKprobe, nil
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

// dropProgram returns the program for the tracepoint skb:kfree_skb as this
// kernel has it.
func dropProgram(tracepoints []kernel.Tracepoint) (string, bool) {
	for _, t := range tracepoints {
		if t.Name == "kfree_skb" {
			if t.Count >= 3 {
				return packetPathProgTracepointKfreeSkb, true
			}
			return packetPathProgTracepointKfreeSkbNoReason, true
		}
	}
	return "", false
}
