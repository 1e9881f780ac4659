// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// maxCgroups bounds the cgroups remembered. A node has some hundred containers;
// when there are more cgroups, all are forgotten and read again when seen again.
const maxCgroups = 4096

// ErrNoCgroups means that no cgroup file system of version 2 is mounted. None is
// mounted here: a mount changes the options of those that others have.
var ErrNoCgroups = errors.New("no cgroup2 file system is mounted")

// ErrNoHandles means that this process may not open what it has no path of.
var ErrNoHandles = errors.New("opening a cgroup by its id takes CAP_DAC_READ_SEARCH")

// Cgroups names the containers that cgroup ids belong to. Only Losses is safe
// for concurrent use.
type Cgroups struct {
	root    *os.File // a directory of the file system
	path    func(id uint64) (string, error)
	known   map[uint64]container
	gone    atomic.Uint64
	flushed atomic.Uint64
}

// container is what a cgroup's path says; both are "" outside of containers.
type container struct{ id, podUID string }

// OpenCgroups finds the cgroup2 file system. Close the result.
func OpenCgroups() (*Cgroups, error) {
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroup2: %w", err)
	}
	defer mounts.Close()
	point, err := cgroupMount(mounts)
	if err != nil {
		return nil, err
	}
	root, err := os.Open(point)
	if err != nil {
		return nil, fmt.Errorf("open cgroup2: %w", err)
	}
	c := &Cgroups{root: root, known: make(map[uint64]container)}
	c.path = c.pathOf
	const any = 1 // whether there is one or not: permission comes first
	if _, err := c.path(any); errors.Is(err, unix.EPERM) {
		return nil, errors.Join(ErrNoHandles, root.Close())
	}
	return c, nil
}

// cgroupMount finds the mount point in a mountinfo file: mount point in the
// fifth field, type in the first after a lone dash.
func cgroupMount(mountinfo io.Reader) (string, error) {
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		where, what, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(where)
		if ok && len(fields) > 4 && strings.HasPrefix(what, "cgroup2 ") {
			return unescape(fields[4]), nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("find cgroup2: %w", err)
	}
	return "", ErrNoCgroups
}

// unescape undoes \040 and its like, which mountinfo writes for white space.
func unescape(text string) string {
	for _, escape := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		text = strings.ReplaceAll(text, escape[0], escape[1])
	}
	return text
}

// Close gives up the file system.
func (c *Cgroups) Close() error { return c.root.Close() }

// Complete adds the container of the cgroup, if it is one's, to what is known of
// a process.
func (c *Cgroups) Complete(p *journey.Process, id uint64) {
	found, ok := c.known[id]
	if !ok {
		found = c.read(id)
		if len(c.known) >= maxCgroups {
			clear(c.known)
			c.flushed.Add(1)
		}
		c.known[id] = found
	}
	p.Container, p.PodUID = found.id, found.podUID
}

func (c *Cgroups) read(id uint64) container {
	path, err := c.path(id)
	if err != nil { // the id will not be used again: an answer for good
		c.gone.Add(1)
		return container{}
	}
	return container{containerID(path), podUID(path)}
}

// pathOf opens the directory by the file handle that the id makes, since there
// is no other way from an id to a name but to walk all directories.
func (c *Cgroups) pathOf(id uint64) (string, error) {
	const kernfsHandle = 0xfe // FILEID_KERNFS
	var bytes [8]byte
	binary.NativeEndian.PutUint64(bytes[:], id)
	fd, err := unix.OpenByHandleAt(int(c.root.Fd()), unix.NewFileHandle(kernfsHandle, bytes[:]), unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("open cgroup %d: %w", id, err)
	}
	defer unix.Close(fd)
	return os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
}

// Losses counts cgroups that had gone before they were read, and how often the
// bound of what is remembered was hit.
func (c *Cgroups) Losses() []journey.Loss {
	return []journey.Loss{
		{What: "container", Cause: "cgroup_gone", Count: c.gone.Load()},
		{What: "container", Cause: "cgroup_limit", Count: c.flushed.Load()},
	}
}
