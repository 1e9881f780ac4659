// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// modules finds kernel modules and what they need. The packages hold no
// modules.dep (depmod makes it at installation), so the modules themselves are
// asked.
type modules struct {
	files    map[string]string // name → file
	builtin  map[string]bool
	unpack   func(file string) ([]byte, error)
	contents map[string][]byte // of those that were asked for
	order    []string
}

func openModules(ctx context.Context, dir, busybox string) (*modules, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	m := &modules{
		files: make(map[string]string), builtin: make(map[string]bool), contents: make(map[string][]byte),
		unpack: func(file string) ([]byte, error) { return readModule(ctx, file, busybox) },
	}
	list, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for file := range strings.FieldsSeq(string(list)) {
		m.builtin[moduleName(file)] = true
	}
	return m, filepath.WalkDir(filepath.Join(dir, "kernel"), func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(filepath.Base(path), ".ko") {
			m.files[moduleName(path)] = path
		}
		return err
	})
}

// moduleName spells names as the kernel does: veth for …/veth.ko.xz.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func readModule(ctx context.Context, file, busybox string) ([]byte, error) {
	applet := map[string]string{".xz": "xzcat", ".gz": "zcat"}[filepath.Ext(file)]
	if applet == "" {
		return os.ReadFile(file)
	}
	out, err := output(exec.CommandContext(ctx, busybox, applet, file))
	return []byte(out), err
}

// add puts a module behind everything that it needs.
func (m *modules) add(name string) error {
	name = moduleName(name)
	if _, done := m.contents[name]; done || m.builtin[name] {
		return nil
	}
	file, ok := m.files[name]
	if !ok {
		return fmt.Errorf("the kernel has no module %q", name)
	}
	data, err := m.unpack(file)
	if err != nil {
		return err
	}
	info, err := moduleInfo(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	m.contents[name] = data
	if err := m.addNeeded(info); err != nil {
		return fmt.Errorf("needed by %s: %w", name, err)
	}
	m.order = append(m.order, name)
	return nil
}

func (m *modules) addNeeded(info map[string][]string) error {
	for _, list := range info["depends"] {
		for need := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' }) {
			if err := m.add(need); err != nil {
				return err
			}
		}
	}
	for _, need := range softNeeds(info["softdep"]) {
		if _, ok := m.files[moduleName(need)]; !ok {
			continue
		}
		if err := m.add(need); err != nil {
			return err
		}
	}
	return nil
}

// softNeeds are the names after "pre:" in lists like "pre: a b post: c".
func softNeeds(lists []string) []string {
	var names []string
	for _, list := range lists {
		pre := false
		for word := range strings.FieldsSeq(list) {
			switch word {
			case "pre:", "post:":
				pre = word == "pre:"
			default:
				if pre {
					names = append(names, word)
				}
			}
		}
	}
	return slices.Compact(names)
}

// moduleInfo reads the key=value strings of a module.
func moduleInfo(module []byte) (map[string][]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no section .modinfo")
	}
	data, err := section.Data()
	if err != nil {
		return nil, err
	}
	info := make(map[string][]string)
	for entry := range bytes.SplitSeq(data, []byte{0}) {
		if key, value, ok := strings.Cut(string(entry), "="); ok {
			info[key] = append(info[key], value)
		}
	}
	return info, nil
}
