// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/cavaliergopher/cpio"

	"github.com/skbpath/skbpath/test/vm/plan"
)

// initramfs is a tree of files for a guest.
type initramfs struct {
	entries map[string]entry // by absolute path
}

// entry is a file here, or the data of a file, or the target of a symbolic
// link, or, with none of them, a directory.
type entry struct {
	mode cpio.FileMode
	file string // on this machine
	data []byte
}

func newInitramfs() *initramfs { return &initramfs{entries: make(map[string]entry)} }

func (r *initramfs) has(guest string) bool { _, ok := r.entries[guest]; return ok }

func (r *initramfs) add(guest string, e entry) {
	guest = path.Clean(guest)
	for dir := path.Dir(guest); dir != "/" && !r.has(dir); dir = path.Dir(dir) {
		r.entries[dir] = entry{mode: cpio.TypeDir | 0o755}
	}
	r.entries[guest] = e
}

func (r *initramfs) addData(guest string, mode cpio.FileMode, data []byte) {
	r.add(guest, entry{mode: cpio.TypeReg | mode, data: data})
}

func (r *initramfs) addLink(guest, target string) {
	r.add(guest, entry{mode: cpio.TypeSymlink | 0o777, data: []byte(target)})
}

func (r *initramfs) addDir(guest string) { r.add(guest, entry{mode: cpio.TypeDir | 0o755}) }

func (r *initramfs) addFile(guest, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", file)
	}
	r.add(guest, entry{mode: cpio.TypeReg | cpio.FileMode(info.Mode().Perm()), file: file})
	return nil
}

// write writes an uncompressed archive: the time to inflate it under emulation
// is longer than the time to load it.
func (r *initramfs) write(w io.Writer) error {
	archive := cpio.NewWriter(w)
	for _, guest := range slices.Sorted(maps.Keys(r.entries)) {
		if err := writeEntry(archive, guest[1:], r.entries[guest]); err != nil {
			return fmt.Errorf("%s: %w", guest, err)
		}
	}
	return archive.Close()
}

func writeEntry(w *cpio.Writer, name string, e entry) error {
	data := e.data
	if e.file != "" {
		var err error
		if data, err = os.ReadFile(e.file); err != nil {
			return err
		}
	}
	if err := w.WriteHeader(&cpio.Header{Name: name, Mode: e.mode, Size: int64(len(data)), Links: 1}); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// buildInitramfs writes the guest's initramfs and says where it is.
func buildInitramfs(ctx context.Context, cfg Config, a *assets) (string, error) {
	r := newInitramfs()
	if err := r.addBase(a); err != nil {
		return "", err
	}
	if err := r.addTools(a.tools, append(defaultTools(), cfg.Tools...)); err != nil {
		return "", err
	}
	for guest, file := range cfg.Files {
		if err := r.addProgram(guest, file, a.tools); err != nil {
			return "", err
		}
	}
	loaded, err := r.addModules(ctx, a, cfg.Modules)
	if err != nil {
		return "", err
	}
	if err := r.addPlan(cfg, loaded); err != nil {
		return "", err
	}
	return r.save(filepath.Join(a.tmp, "initramfs"))
}

func (r *initramfs) save(file string) (string, error) {
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	return file, errors.Join(r.write(f), f.Close())
}

// addBase adds what every guest starts with.
func (r *initramfs) addBase(a *assets) error {
	for _, dir := range []string{"/dev", "/proc", "/sys", "/run", "/tmp", "/out", "/root", "/var/lib", "/etc"} {
		r.addDir(dir)
	}
	r.addLink("/var/run", "/run")
	r.addLink("/usr/bin/clock", "/init")
	r.addData("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"))
	r.addData("/etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	r.addData("/etc/hosts", 0o644, []byte("127.0.0.1 localhost\n::1 localhost\n"))
	if err := r.addFile("/init", a.init); err != nil {
		return err
	}
	// busybox's own shell prefers its applets to real programs.
	for guest, name := range map[string]string{"/bin/busybox": "busybox", "/bin/sh": "dash"} {
		file, err := findTool(a.tools, name)
		if err != nil {
			return err
		}
		if err := r.addProgram(guest, file, a.tools); err != nil {
			return err
		}
	}
	return nil
}

func (r *initramfs) addTools(root string, names []string) error {
	for _, name := range names {
		file, err := findTool(root, name)
		if err != nil {
			return err
		}
		if err := r.addProgram("/usr/bin/"+name, file, root); err != nil {
			return err
		}
	}
	return r.addPlugins(root)
}

// addPlugins adds what tc and iptables read when they run: delay distributions
// for netem, and the targets that every table has.
func (r *initramfs) addPlugins(root string) error {
	for _, pattern := range []string{"tc/*.dist", "xtables/libxt_standard.so", "xtables/libxt_udp.so"} {
		files, err := filepath.Glob(filepath.Join(root, libraryDir, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := r.addFile(filepath.Join(libraryDir, filepath.Dir(pattern), filepath.Base(file)), file); err != nil {
				return err
			}
		}
	}
	return nil
}

// addModules adds modules with all they need, and returns the files in the
// order in which to load them.
func (r *initramfs) addModules(ctx context.Context, a *assets, names []string) ([]string, error) {
	busybox, err := findTool(a.tools, "busybox")
	if err != nil {
		return nil, err
	}
	m, err := openModules(ctx, filepath.Join(a.kernel, "modules"), busybox)
	if err != nil {
		return nil, err
	}
	// The port for the results needs the first two.
	for _, name := range append([]string{"virtio_pci", "virtio_console"}, names...) {
		if err := m.add(name); err != nil {
			return nil, err
		}
	}
	var files []string
	for _, name := range m.order {
		file := "/lib/modules/" + name + ".ko"
		r.addData(file, 0o644, m.contents[name])
		files = append(files, file)
	}
	return files, nil
}

func (r *initramfs) addPlan(cfg Config, modules []string) error {
	for _, s := range cfg.Scenarios {
		r.addData(scriptPath(s.Name), 0o644, []byte(s.Script))
	}
	data, err := json.Marshal(cfg.plan(modules))
	r.addData(plan.Path, 0o644, data)
	return err
}
