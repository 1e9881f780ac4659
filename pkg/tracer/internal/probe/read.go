// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

const (
	// pollInterval is how often the ring buffer is emptied: the kernel half
	// wakes nobody up. 16 MiB hold some 20,000 journeys in that time.
	pollInterval = 20 * time.Millisecond
	// housekeeping is how often journeys expire and the clock offset is read.
	housekeeping = time.Second
)

// Read hands records, each valid until emit returns, on until the context ends. Then no journey goes on:
// those in flight expire, and all that is left in the ring buffer is read.
func (p *Probe) Read(ctx context.Context, emit func(*journey.Record)) error {
	var raw ringbuf.Record
	var lastHousekeeping time.Time
	for {
		now := time.Now()
		if now.Sub(lastHousekeeping) >= housekeeping {
			lastHousekeeping = now
			if err := p.keepHouse(); err != nil {
				return err
			}
		}
		stopping := ctx.Err() != nil
		if stopping {
			if err := p.finish(); err != nil {
				return err
			}
			p.reader.SetDeadline(now)
		} else {
			p.reader.SetDeadline(now.Add(pollInterval))
		}
		if err := p.drain(&raw, emit); err != nil {
			return err
		}
		if stopping {
			return nil
		}
	}
}

// drain reads until the deadline has passed and the ring buffer is empty.
func (p *Probe) drain(raw *ringbuf.Record, emit func(*journey.Record)) error {
	for {
		err := p.reader.ReadInto(raw)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read ring buffer: %w", err)
		}
		record, err := p.decoder.decode(raw.RawSample)
		if err != nil {
			p.malformed.Add(1)
			p.options.Log.Error("lost a record", "err", err)
			continue
		}
		emit(record)
	}
}

func (p *Probe) keepHouse() error {
	if err := p.decoder.setClock(); err != nil {
		return err
	}
	return p.expire(p.options.Timeout)
}

func (p *Probe) finish() error {
	if err := p.enable(false); err != nil {
		return err
	}
	return p.expire(0)
}

// expire runs the program that ends overdue journeys, on each bucket in use.
func (p *Probe) expire(timeout time.Duration) error {
	if err := p.buckets.Get(p.snapshot); err != nil {
		return fmt.Errorf("list journeys in flight: %w", err)
	}
	program := p.collection.Programs[packetPathProgExpireBucket]
	var none packetPathBucket
	for i := range p.snapshot {
		if p.snapshot[i].Followed == none.Followed {
			continue
		}
		arguments := [2]uint64{uint64(i), uint64(timeout.Nanoseconds())}
		if _, err := program.Run(&ebpf.RunOptions{Context: arguments}); err != nil {
			return fmt.Errorf("expire journeys: %w", err)
		}
	}
	return nil
}
