// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// libraryDir is where the guest's loader looks without being told.
const libraryDir = "/usr/lib/x86_64-linux-gnu/"

// defaultTools are in every guest.
func defaultTools() []string {
	return []string{"ip", "tc", "bridge", "ss", "nft", "ping", "nc", "ethtool"}
}

// findTool looks for a program below a root directory.
func findTool(root, name string) (string, error) {
	for _, dir := range []string{"usr/sbin", "usr/bin", "sbin", "bin"} {
		for _, file := range []string{name, name + ".openbsd"} {
			path, err := followLinks(root, filepath.Join(root, dir, file))
			if err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("no program %q in %s: add its package to the guest's tools in test/fetch", name, root)
}

// followLinks returns the regular file that a path leads to, taking absolute
// links to start at the root directory.
func followLinks(root, path string) (string, error) {
	for range 10 {
		info, err := os.Lstat(path)
		if err != nil {
			return "", err
		}
		if info.Mode().IsRegular() {
			return path, nil
		}
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			path = filepath.Join(root, target)
		} else {
			path = filepath.Join(filepath.Dir(path), target)
		}
	}
	return "", fmt.Errorf("%s: too many links", path)
}

// addProgram adds a file, and the loader and libraries if it is a program that
// wants some. The guest's own libraries are preferred, then those that are
// beside the program, then this machine's.
func (r *initramfs) addProgram(guest, file string, roots ...string) error {
	if err := r.addFile(guest, file); err != nil {
		return err
	}
	return r.addLibraries(file, append(roots, ownRoot(file), "/"))
}

// ownRoot is the directory that a program is unpacked in: R for R/usr/bin/p.
func ownRoot(file string) string {
	root, _, found := strings.Cut(file, "/usr/")
	if !found || root == "" {
		return "/"
	}
	return root
}

func (r *initramfs) addLibraries(file string, roots []string) error {
	f, err := elf.Open(file)
	if _, notELF := errors.AsType[*elf.FormatError](err); notELF {
		return nil
	}
	if err != nil {
		return nil // shorter than a header: no program
	}
	defer f.Close()
	if err := r.addLoader(f, roots); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, name := range needed {
		if err := r.addLibrary(name, roots); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func (r *initramfs) addLibrary(name string, roots []string) error {
	if r.has(libraryDir + name) {
		return nil
	}
	file, err := findLibrary(name, roots)
	if err != nil {
		return err
	}
	if err := r.addFile(libraryDir+name, file); err != nil {
		return err
	}
	return r.addLibraries(file, roots)
}

func findLibrary(name string, roots []string) (string, error) {
	for _, root := range roots {
		for _, dir := range []string{"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "lib64", "usr/lib", "lib"} {
			file, err := filepath.EvalSymlinks(filepath.Join(root, dir, name))
			if err == nil {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("no library %s", name)
}

// addLoader adds the program that a dynamic program names as its interpreter.
func (r *initramfs) addLoader(f *elf.File, roots []string) error {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil {
			return err
		}
		loader := strings.TrimRight(string(data), "\x00")
		if r.has(loader) {
			return nil
		}
		file, err := findLibrary(filepath.Base(loader), roots)
		if err != nil {
			return err
		}
		return r.addFile(loader, file)
	}
	return nil
}
