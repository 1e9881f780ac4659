// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

const (
	someID   = "0c8cd5a72cfbd2ba3a5d2e6b7a6f7d3a9d9a9f4f4a6d4b1f1f0a2d3c4b5a6978"
	otherID  = "ffffd5a72cfbd2ba3a5d2e6b7a6f7d3a9d9a9f4f4a6d4b1f1f0a2d3c4b5affff"
	podDash  = "8dbc5577-d0e2-4706-8787-57d52c03ddf2"
	podUnder = "8dbc5577_d0e2_4706_8787_57d52c03ddf2"
	podHash  = "d4a2dbdf6a30af86d8a2df0ad05ac1e6"
)

func TestContainerAndPodOfCgroup(t *testing.T) {
	for _, c := range []struct{ name, path, id, pod string }{
		{"root", "/", "", ""},
		{"service", "/sys/fs/cgroup/system.slice/ssh.service", "", ""},
		{"user", "/user.slice/user-1000.slice/session-3.scope", "", ""},
		{"docker, systemd driver", "/sys/fs/cgroup/system.slice/docker-" + someID + ".scope", someID, ""},
		{"docker, cgroupfs driver", "/docker/" + someID, someID, ""},
		{"systemd inside docker", "/system.slice/docker-" + someID + ".scope/system.slice/nginx.service", someID, ""},
		{"podman", "/machine.slice/libpod-" + someID + ".scope/container", someID, ""},
		{"podman's pod", "/machine.slice/machine-libpod_pod_" + otherID + ".slice/libpod-" + someID + ".scope", someID, ""},
		{"podman, split", "/system.slice/app.service/libpod-payload-" + someID, someID, ""},
		{"podman's monitor", "/machine.slice/libpod-conmon-" + someID + ".scope", "", ""},
		{"containerd, systemd driver", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podUnder +
			".slice/cri-containerd-" + someID + ".scope", someID, podDash},
		{"containerd, cgroupfs driver", "/kubepods/besteffort/pod" + podDash + "/" + someID, someID, podDash},
		{"guaranteed", "/kubepods/pod" + podDash + "/" + someID, someID, podDash},
		{"containerd of another driver than kubelet", "/system.slice/containerd.service/kubepods-besteffort-pod" + podUnder +
			".slice:cri-containerd:" + someID, someID, podDash},
		{"cri-o", "/kubepods.slice/kubepods-pod" + podUnder + ".slice/crio-" + someID + ".scope", someID, podDash},
		{"cri-o's monitor", "/kubepods.slice/kubepods-pod" + podUnder + ".slice/crio-conmon-" + someID + ".scope", "", podDash},
		{"static pod", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podHash +
			".slice/cri-containerd-" + someID + ".scope", someID, podHash},
		{"kind: a node in docker", "/system.slice/docker-" + otherID + ".scope/kubelet.slice/kubelet-kubepods.slice/" +
			"kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + podUnder + ".slice/cri-containerd-" +
			someID + ".scope", someID, podDash},
		{"ecs", "/ecs/1c2b3a4d5e6f/" + someID, someID, ""},
		{"short", "/docker/" + someID[1:], "", ""},
		{"no hex", "/docker/" + strings.Replace(someID, "0", "g", 1), "", ""},
		{"a pod's name is no UID", "/kubepods/podinfo", "", ""},
		{"pod outside of Kubernetes", "/pod" + podDash, "", ""},
		{"empty", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := containerID(c.path); got != c.id {
				t.Errorf("container %q, want %q", got, c.id)
			}
			if got := podUID(c.path); got != c.pod {
				t.Errorf("pod %q, want %q", got, c.pod)
			}
		})
	}
}

func FuzzContainer(f *testing.F) {
	f.Add("/kubepods/pod" + podDash + "/" + someID)
	f.Fuzz(func(t *testing.T, path string) {
		if id := containerID(path); id != "" && (len(id) != 64 || !strings.Contains(path, id)) {
			t.Errorf("container %q of %q", id, path)
		}
		if uid := podUID(path); uid != "" && !isUID(uid) {
			t.Errorf("pod %q of %q", uid, path)
		}
	})
}

func TestCgroupMount(t *testing.T) {
	const mounts = `25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw
31 25 0:27 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,name=systemd
35 25 0:28 / /sys/fs/a\040b rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
`
	if got, err := cgroupMount(strings.NewReader(mounts)); err != nil || got != "/sys/fs/a b" {
		t.Errorf("cgroupMount = %q, %v", got, err)
	}
	if _, err := cgroupMount(strings.NewReader(mounts[:120])); !errors.Is(err, ErrNoCgroups) {
		t.Errorf("without cgroup2: %v", err)
	}
}

// TestCgroupsAreRemembered: each is read once, within a bound that is counted.
func TestCgroupsAreRemembered(t *testing.T) {
	reads := 0
	c := &Cgroups{known: make(map[uint64]container), path: func(id uint64) (string, error) {
		reads++
		if id == 7 {
			return "", errors.New("stale")
		}
		return "/docker/" + someID, nil
	}}
	var p journey.Process
	for range 3 {
		c.Complete(&p, 7)
		if p.Container != "" {
			t.Errorf("a cgroup that has gone is the container %s", p.Container)
		}
		c.Complete(&p, 8)
		if p.Container != someID {
			t.Errorf("container %q, want %q", p.Container, someID)
		}
	}
	if reads != 2 {
		t.Errorf("%d reads, want 2", reads)
	}
	for id := range uint64(maxCgroups) {
		c.Complete(&p, 100+id)
	}
	if len(c.known) > maxCgroups {
		t.Errorf("%d are remembered", len(c.known))
	}
	if got, want := fmt.Sprint(c.Losses()), "[{container cgroup_gone 1} {container cgroup_limit 1}]"; got != want {
		t.Errorf("losses %s, want %s", got, want)
	}
}

// TestCgroupsOfThisKernel makes a cgroup and asks for it by its id, which is the
// inode number of its directory.
func TestCgroupsOfThisKernel(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root makes cgroups and opens them by id")
	}
	c, err := OpenCgroups()
	if errors.Is(err, ErrNoCgroups) {
		t.Skip("SKIPPED:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	top := filepath.Join(c.root.Name(), fmt.Sprintf("skbpath-test-%d", os.Getpid()))
	path := filepath.Join(top, "kubepods", "pod"+podDash, someID)
	if err := os.MkdirAll(path, 0o755); errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) {
		t.Skip("SKIPPED: cannot make cgroups here:", err)
	} else if err != nil {
		t.Fatal(err)
	}
	remove := func() {
		for at := path; at != c.root.Name(); at = filepath.Dir(at) {
			if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		}
	}
	t.Cleanup(remove)
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	var p journey.Process
	c.Complete(&p, stat.Ino)
	if p.Container != someID || p.PodUID != podDash {
		t.Errorf("process is %+v", p)
	}
	remove()
	clear(c.known)
	if c.Complete(&p, stat.Ino); p.Container != "" || c.gone.Load() != 1 {
		t.Errorf("after its end: %+v, %v", p, c.Losses())
	}
}
