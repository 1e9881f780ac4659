// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
)

// attachment is a link to functions or a tracepoint; Close detaches, unless it is pinned.
type attachment interface {
	io.Closer
	Info() (*link.Info, error)
	Pin(path string) error
}

// attachments are the links of one Probe.
type attachments struct {
	links   []attachment
	anchor  *anchor // nil where there can be none: then close takes longer
	refused []Miss
	skipped []Miss
	count   int
}

// add takes a link of which there are few, see anchor.
func (a *attachments) add(l attachment, count int) {
	a.anchor.hold(l)
	a.links = append(a.links, l)
	a.count += count
}

// close detaches all, or leaves it to the anchor. One perf kprobe takes some 10 ms to
// detach, in the kernel and not on a CPU, so that many at a time go faster.
func (a *attachments) close() error {
	return errors.Join(a.closeLinks(), a.anchor.close())
}

func (a *attachments) closeLinks() error {
	const workers = 64
	queue := make(chan attachment)
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

// stopped is an error once nothing more is to be attached.
func stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("stopped before all was attached: %w", context.Cause(ctx))
}

// refusal is a target that the kernel would not attach, and why.
type refusal struct {
	target target
	err    error
}

// attachByKind makes one link for each kind of target. Of a set the kernel says
// only that something in it is wrong: that is found by halving, so that one does
// not cost the others.
func (a *attachments) attachByKind(ctx context.Context, targets []target, attach func(kind string, set []target) (attachment, error), progress func(int)) ([]refusal, error) {
	kinds := make(map[string][]target)
	for _, t := range targets {
		kinds[t.kind()] = append(kinds[t.kind()], t)
	}
	var refused []refusal
	for kind, set := range kinds {
		more, err := a.attachSet(ctx, set, func(set []target) (attachment, error) { return attach(kind, set) })
		if err != nil {
			return nil, err
		}
		refused = append(refused, more...)
		progress(a.count)
	}
	return refused, nil
}

func (a *attachments) attachSet(ctx context.Context, set []target, attach func([]target) (attachment, error)) ([]refusal, error) {
	if err := stopped(ctx); err != nil {
		return nil, err
	}
	l, err := attach(set)
	if err == nil {
		a.add(l, len(set))
		return nil, nil
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("attach functions: %w", err)
	}
	if len(set) == 1 {
		return []refusal{{set[0], err}}, nil
	}
	half := len(set) / 2
	first, err := a.attachSet(ctx, set[:half], attach)
	if err != nil {
		return nil, err
	}
	second, err := a.attachSet(ctx, set[half:], attach)
	return append(first, second...), err
}

var errNoTrampoline = errors.New("no trampoline for its arguments")

// attachKprobeMulti attaches one link a program.
func (a *attachments) attachKprobeMulti(ctx context.Context, programs map[string]*ebpf.Program, targets []target, progress func(int)) error {
	refused, err := a.attachByKind(ctx, targets, func(kind string, set []target) (attachment, error) {
		program := programs[kprobePrefix+kind]
		if program == nil { // trampolines refused it, and nothing else of its kind was left to kprobes
			return nil, errNoTrampoline
		}
		addresses := make([]uintptr, len(set))
		for i, t := range set {
			addresses[i] = uintptr(t.symbol.Address)
		}
		return link.KprobeMulti(program, link.KprobeMultiOptions{Addresses: addresses})
	}, progress)
	for _, r := range refused {
		a.refused = append(a.refused, Miss{r.target.symbol.Name, r.err.Error()})
	}
	return err
}

// attachKprobes attaches one perf event a function, by name. Where several
// functions share a name the kernel cannot tell which is meant: they are left
// out.
func (a *attachments) attachKprobes(ctx context.Context, programs map[string]*ebpf.Program, targets []target, progress func(int)) error {
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
		if err := stopped(ctx); err != nil {
			return err
		}
		l, err := link.Kprobe(t.symbol.Name, programs[kprobePrefix+t.kind()], nil)
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("attach kprobe to %s: %w", t.symbol.Name, err)
		}
		if err != nil {
			a.refused = append(a.refused, Miss{t.symbol.Name, err.Error()})
			continue
		}
		a.links = append(a.links, l) // too many for the anchor
		a.count++
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

// chooseBackend returns the mechanism to attach functions with, or an error that
// says which kernel feature is missing.
func chooseBackend(asked Backend, cache *btf.Cache) (Backend, error) {
	if how, ok := asked.tracingMulti(); ok {
		if how.known(cache) {
			return asked, nil
		}
		return "", fmt.Errorf("no %s links in this kernel (7.2)", asked)
	}
	if asked != BackendKprobe {
		err := features.HaveBPFLinkKprobeMulti()
		if err == nil {
			return BackendKprobeMulti, nil
		}
		if asked == BackendKprobeMulti {
			return "", fmt.Errorf("no kprobe-multi links in this kernel (CONFIG_FPROBE): %w", err)
		}
	}
	if _, err := os.Stat("/sys/bus/event_source/devices/kprobe"); err != nil {
		return "", errors.New("no kprobes in this kernel (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)")
	}
	return BackendKprobe, nil
}

// dropTracepoint sees every packet that is dropped.
const dropTracepoint = "kfree_skb"

// dropProgram returns the program for the tracepoint skb:kfree_skb as this
// kernel has it.
func dropProgram(tracepoints []kernel.Tracepoint) (string, bool) {
	for _, t := range tracepoints {
		if t.Name == dropTracepoint {
			if t.Count >= 3 {
				return packetPathProgTracepointKfreeSkb, true
			}
			return packetPathProgTracepointKfreeSkbNoReason, true
		}
	}
	return "", false
}
