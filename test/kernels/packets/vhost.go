// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// feedTap hands the segments of a TCP stream to a tap device that has NAPI: some at
// once, as vhost does for a virtual machine, so that GRO has them together; then those of
// two others in turn, each in two pieces, the headers and the rest.
func feedTap(args []string) error {
	f := flags("feed")
	name := f.String("name", "", "of the tap device, which is there already")
	from := f.String("from", "", "address:port")
	to := f.String("to", "", "address:port; the next two ports for those in pieces")
	count := f.Int("count", 4, "segments at once")
	pieces := f.Int("pieces", 0, "segments in pieces")
	_ = f.Parse(args)
	tap, err := openTap(*name, *pieces > 0)
	if err != nil {
		return err
	}
	defer tap.Close()
	frames, err := tcpStream(*name, *from, *to, *count, 0)
	if err != nil {
		return err
	}
	if err := giveToVhost(tap, frames); err != nil {
		return fmt.Errorf("vhost: %w", err)
	}
	streams := make([][][]byte, 2)
	for i := range streams {
		if streams[i], err = tcpStream(*name, *from, *to, *pieces/len(streams), i+1); err != nil {
			return err
		}
	}
	for i := range *pieces {
		if err := writePieces(tap, streams[i%len(streams)][i/len(streams)]); err != nil {
			return err
		}
	}
	waitForEnd()
	return nil
}

func openTap(name string, pieces bool) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	mode := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_NAPI)
	if pieces {
		mode |= unix.IFF_NAPI_FRAGS
	}
	request.SetUint16(mode)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, fmt.Errorf("attach to %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// tcpStream is a number of segments that follow each other, as frames for the device.
func tcpStream(device, from, to string, count, next int) ([][]byte, error) {
	nic, err := net.InterfaceByName(device)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", device, err)
	}
	var frames [][]byte
	sequence := uint32(1)
	for range count {
		p, err := newPacket("tcp", from, to)
		if err != nil {
			return nil, err
		}
		p.body = tcpSegment(sequence, 1, tcpACK)
		p.setPorts()
		p.body[3] += byte(next)
		sequence += tcpPayload
		frame := append(append([]byte(nil), nic.HardwareAddr...), 2, 0, 0, 0, 0, 1, 0x08, 0x00)
		frames = append(frames, append(frame, whole(p.bytes())...))
	}
	return frames, nil
}

// whole sets DF: the headers of what GRO merges must say so, or count.
func whole(packet []byte) []byte {
	packet[6] |= 0x40
	packet[10], packet[11] = 0, 0
	binary.BigEndian.PutUint16(packet[10:], checksum(packet[:ipv4Header]))
	return packet
}

func writePieces(tap *os.File, frame []byte) error {
	const headers = 14 + ipv4Header + 20
	for {
		_, err := unix.Writev(int(tap.Fd()), [][]byte{frame[:headers], frame[headers:]})
		if !errors.Is(err, syscall.EBUSY) { // its timer runs
			return err
		}
	}
}

// What linux/vhost.h has, for the queue of packets that the machine sends.
const (
	vhostOwner, vhostFeatures, vhostMemory        = 0xaf01, 0x4008af00, 0x4008af03
	vhostSize, vhostPlaces, vhostBase             = 0x4008af10, 0x4028af11, 0x4008af12
	vhostKick, vhostBackend                       = 0x4008af20, 0x4008af30
	vhostHeaders                           uint64 = 1 << 27 // vhost takes off the headers of virtio
	sendQueue                                     = 1
	ringSize, frameSpace, virtioHeader            = 64, 2048, 10
)

// ring is a queue of virtio, and the frames in it.
type ring struct {
	descriptors [ringSize]struct {
		address uint64
		length  uint32
		flags   uint16
		next    uint16
	}
	offered struct {
		flags, count uint16
		heads        [ringSize]uint16
		_            uint16
	}
	used struct {
		flagsAndCount uint32
		elements      [ringSize][2]uint32
	}
	_      [4]byte
	frames [ringSize][frameSpace]byte
}

// giveToVhost plays a virtual machine that sends all frames at once.
func giveToVhost(tap *os.File, frames [][]byte) error {
	vhost, err := unix.Open("/dev/vhost-net", unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer unix.Close(vhost)
	kick, err := unix.Eventfd(0, 0)
	if err != nil {
		return err
	}
	defer unix.Close(kick)
	memory, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(ring{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	r := (*ring)(unsafe.Pointer(&memory[0]))
	for i, frame := range frames {
		copy(r.frames[i][virtioHeader:], frame)
		r.descriptors[i].address = address(&r.frames[i])
		r.descriptors[i].length = uint32(virtioHeader + len(frame))
		r.offered.heads[i] = uint16(i)
	}
	r.offered.count = uint16(len(frames))
	if err := r.connect(vhost, kick, int(tap.Fd())); err != nil {
		return err
	}
	if _, err := unix.Write(kick, binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		return err
	}
	for range 1000 {
		if atomic.LoadUint32(&r.used.flagsAndCount)>>16 == uint32(len(frames)) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("the frames are not taken")
}

// connect tells vhost where the ring is and what device its frames are for.
func (r *ring) connect(vhost, kick, tap int) error {
	features := vhostHeaders
	memory := struct {
		regions, _               uint32
		guest, size, here, flags uint64
	}{regions: 1, guest: address(r), size: uint64(unsafe.Sizeof(*r)), here: address(r)}
	size, base := [2]uint32{sendQueue, ringSize}, [2]uint32{sendQueue, 0}
	places := struct {
		queue, flags                    uint32
		descriptors, used, offered, log uint64
	}{queue: sendQueue, descriptors: address(&r.descriptors), used: address(&r.used), offered: address(&r.offered)}
	kicked, backend := [2]uint32{sendQueue, uint32(kick)}, [2]uint32{sendQueue, uint32(tap)}
	for _, call := range []struct {
		request  uintptr
		argument unsafe.Pointer
	}{
		{vhostOwner, nil},
		{vhostFeatures, unsafe.Pointer(&features)},
		{vhostMemory, unsafe.Pointer(&memory)},
		{vhostSize, unsafe.Pointer(&size)},
		{vhostBase, unsafe.Pointer(&base)},
		{vhostPlaces, unsafe.Pointer(&places)},
		{vhostKick, unsafe.Pointer(&kicked)},
		{vhostBackend, unsafe.Pointer(&backend)},
	} {
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(vhost), call.request, uintptr(call.argument)); e != 0 {
			return fmt.Errorf("request %#x: %w", call.request, e)
		}
	}
	runtime.KeepAlive(r)
	return nil
}

func address[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }
