// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// tracing is an attach type by which many functions share a trampoline (7.2).
// cilium/ebpf does not know these.
type tracing struct {
	attachType  ebpf.AttachType
	name        string // in the kernel's enum
	seesReturns bool
}

// tracingMulti is how the backend attaches, ok false for those that have no trampolines.
func (b Backend) tracingMulti() (how tracing, ok bool) {
	switch b {
	case BackendFentryMulti:
		return tracing{attachType: 59, name: "BPF_TRACE_FENTRY_MULTI"}, true
	case BackendFsessionMulti:
		return tracing{attachType: 61, name: "BPF_TRACE_FSESSION_MULTI", seesReturns: true}, true
	}
	return tracing{}, false
}

func (b Backend) seesReturns() bool {
	how, _ := b.tracingMulti()
	return how.seesReturns
}

// known asks the kernel's own enum of attach types.
func (how tracing) known(cache *btf.Cache) bool {
	spec, err := cache.Kernel()
	if err != nil {
		return false
	}
	var types *btf.Enum
	if err := spec.TypeByName("bpf_attach_type", &types); err != nil {
		return false
	}
	return slices.ContainsFunc(types.Values, func(v btf.EnumValue) bool {
		return v.Name == how.name && v.Value == uint64(how.attachType)
	})
}

// traceable reports whether trampolines can attach to the target: they know
// functions by the kernel's BTF and find them by their name, which functions of
// modules, symbols with a suffix and several functions of one name do not allow.
func (t target) traceable(shared map[string]bool) bool {
	return t.id != 0 && !t.suffixed() && !shared[t.symbol.Name]
}

// attachTracingMulti attaches one link a program, and returns what the kernel would
// not attach so.
func (a *attachments) attachTracingMulti(ctx context.Context, programs map[string]*ebpf.Program, attachType ebpf.AttachType, targets []target, progress func(int)) ([]target, error) {
	refused, err := a.attachByKind(ctx, targets, func(kind string, set []target) (attachment, error) {
		return linkTracingMulti(programs[tracedPrefix+kind], attachType, set)
	}, progress)
	var left []target
	for _, r := range refused {
		left = append(left, r.target)
	}
	return left, err
}

// tracedLink is a link of a kind that cilium/ebpf does not know.
type tracedLink int

func (l tracedLink) Close() error { return unix.Close(int(l)) }

// Pin is BPF_OBJ_PIN.
func (l tracedLink) Pin(path string) error {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	attr := struct {
		path  uint64
		fd    uint32
		flags uint32
	}{path: uint64(uintptr(unsafe.Pointer(name))), fd: uint32(l)}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_PIN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(name)
	if errno != 0 {
		return errno
	}
	return nil
}

// Info tells nothing: such a link counts no misses.
func (l tracedLink) Info() (*link.Info, error) { return nil, errors.ErrUnsupported }

// linkTracingMulti makes a link with union bpf_attr.link_create.tracing_multi of
// include/uapi/linux/bpf.h.
func linkTracingMulti(program *ebpf.Program, attachType ebpf.AttachType, group []target) (attachment, error) {
	ids := make([]uint32, len(group))
	for i, t := range group {
		ids[i] = uint32(t.id)
	}
	attr := struct {
		program, target, attachType, flags uint32
		ids, cookies                       uint64
		count, padding                     uint32
	}{
		program: uint32(program.FD()), attachType: uint32(attachType),
		ids: uint64(uintptr(unsafe.Pointer(&ids[0]))), count: uint32(len(ids)),
	}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(ids)
	runtime.KeepAlive(program)
	if errno != 0 {
		return nil, errno
	}
	return tracedLink(fd), nil
}
