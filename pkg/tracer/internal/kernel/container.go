// SPDX-License-Identifier: Apache-2.0

package kernel

import "strings"

// containerID finds in a cgroup's path the id of the container it belongs to:
// 64 hex digits that are a directory of their own (cgroupfs driver), or stand
// between the runtime's prefix and ".scope" (systemd driver). The innermost
// counts: containers have containers. A runtime's own helpers (crio-conmon-…)
// are not in the container.
func containerID(path string) string {
	for name := range backwards(path) {
		name = strings.TrimSuffix(name, ".scope")
		if i := strings.LastIndexAny(name, "-:"); i >= 0 {
			if strings.HasSuffix(name[:i], "conmon") {
				continue
			}
			name = name[i+1:] // docker-, cri-containerd-, crio-, libpod-, …; or "…:cri-containerd:"
		}
		if len(name) == 64 && isHex(name) {
			return name
		}
	}
	return ""
}

// podUID finds in a cgroup's path the UID of the Kubernetes pod it belongs to:
// "pod<uid>" as a directory's name (cgroupfs driver) or, with underscores for
// dashes, at the end of a slice's (systemd driver). Static pods have 32 hex
// digits, a hash of their configuration, for an UID.
func podUID(path string) string {
	if !strings.Contains(path, "kubepods") {
		return ""
	}
	for name := range backwards(path) {
		name, _, _ = strings.Cut(name, ".slice")
		i := strings.LastIndex(name, "pod")
		if i < 0 {
			continue
		}
		if uid := strings.ReplaceAll(name[i+len("pod"):], "_", "-"); isUID(uid) {
			return uid
		}
	}
	return ""
}

// backwards yields the names in a path, the last first.
func backwards(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for path != "" {
			i := strings.LastIndexByte(path, '/')
			if !yield(path[i+1:]) {
				return
			}
			path = path[:max(i, 0)]
		}
	}
}

func isUID(text string) bool {
	switch len(text) {
	case 32:
		return isHex(text)
	case 36:
		return text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' &&
			isHex(strings.ReplaceAll(text, "-", ""))
	}
	return false
}

func isHex(text string) bool {
	return strings.Trim(text, "0123456789abcdef") == ""
}
