// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// mechanism is a way to attach one program to many functions.
type mechanism struct {
	program    ebpf.ProgramType
	attachType ebpf.AttachType
	// attach tells how many functions it attached to, and returns what detaches.
	attach func(program *ebpf.Program, names map[string]bool) (attached int, detach func() error, err error)
}

// Of enum bpf_attach_type since 7.2; cilium/ebpf does not know them.
const (
	fentryMulti   = ebpf.AttachType(59)
	fsessionMulti = ebpf.AttachType(61)
)

func mechanisms() map[string]mechanism {
	return map[string]mechanism{
		"kprobe-multi":   {ebpf.Kprobe, ebpf.AttachTraceKprobeMulti, attachKprobes},
		"fentry-multi":   {ebpf.Tracing, fentryMulti, attachTrampolines(fentryMulti)},
		"fsession-multi": {ebpf.Tracing, fsessionMulti, attachTrampolines(fsessionMulti)},
	}
}

func attachKprobes(program *ebpf.Program, names map[string]bool) (int, func() error, error) {
	addresses, err := resolve(names)
	if err != nil {
		return 0, nil, err
	}
	l, err := link.KprobeMulti(program, link.KprobeMultiOptions{Addresses: addresses})
	if err != nil {
		return 0, nil, err
	}
	return len(addresses), l.Close, nil
}

// resolve returns the address of every function with one of the names.
func resolve(names map[string]bool) ([]uintptr, error) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found []uintptr
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || !strings.ContainsAny(fields[1], "tTwW") || !names[fields[2]] {
			continue
		}
		address, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil {
			return nil, err
		}
		found = append(found, uintptr(address))
	}
	return found, lines.Err()
}

// attachTrampolines attaches to those of the functions that the kernel's BTF has.
func attachTrampolines(attachType ebpf.AttachType) func(*ebpf.Program, map[string]bool) (int, func() error, error) {
	return func(program *ebpf.Program, names map[string]bool) (int, func() error, error) {
		spec, err := btf.LoadKernelSpec()
		if err != nil {
			return 0, nil, err
		}
		var ids []uint32
		for name := range names {
			var f *btf.Func
			if spec.TypeByName(name, &f) != nil {
				continue
			}
			id, err := spec.TypeID(f)
			if err != nil {
				return 0, nil, err
			}
			ids = append(ids, uint32(id))
		}
		var links []int
		attached := linkHalves(program, attachType, ids, &links)
		detach := func() (err error) {
			for _, l := range links {
				err = errors.Join(err, unix.Close(l))
			}
			return err
		}
		if attached == 0 {
			return 0, nil, errors.New("none of the functions")
		}
		return attached, detach, nil
	}
}

// linkHalves leaves out what the kernel refuses: it says only that something in a set
// is wrong.
func linkHalves(program *ebpf.Program, attachType ebpf.AttachType, ids []uint32, links *[]int) (attached int) {
	if len(ids) == 0 {
		return 0
	}
	if l, err := linkMulti(program, attachType, ids); err == nil {
		*links = append(*links, l)
		return len(ids)
	}
	if len(ids) == 1 {
		return 0
	}
	half := len(ids) / 2
	return linkHalves(program, attachType, ids[:half], links) + linkHalves(program, attachType, ids[half:], links)
}

// linkMulti makes a link with union bpf_attr.link_create.tracing_multi of
// include/uapi/linux/bpf.h.
func linkMulti(program *ebpf.Program, attachType ebpf.AttachType, ids []uint32) (int, error) {
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
		return 0, errno
	}
	return int(fd), nil
}
