// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

func (t *table) find(address uint32) packetPathFunctionRow { return t.rows[t.placeOf(address)] }

func TestEveryFunctionHasARowOfItsOwn(t *testing.T) {
	for _, n := range []int{1, 34, 1640, maxFunctions} {
		functions := make(map[uint32]string, n)
		random := rand.New(rand.NewPCG(1, uint64(n)))
		for len(functions) < n { // functions are aligned to 16 bytes, in 16 MiB of text
			functions[0x81000000+random.Uint32N(1<<20)*16] = fmt.Sprintf("f%d", len(functions)/2)
		}
		table, err := newTable(functions)
		if err != nil {
			t.Fatal(err)
		}
		places := make(map[uint32]uint32, n)
		for address, name := range functions {
			place := table.placeOf(address)
			if other, taken := places[place]; taken {
				t.Fatalf("of %d: %#x has the row of %#x", n, address, other)
			}
			places[place] = address
			if got := table.functions[table.rows[place].Index]; got != name {
				t.Fatalf("of %d: %#x is %q, want %q", n, address, got, name)
			}
		}
		if got, want := len(table.functions), (n+1)/2; got != want {
			t.Errorf("%d names, want %d", got, want)
		}
	}
}

func TestRowsSayWhatAFunctionMeans(t *testing.T) {
	functions := map[uint32]string{1: "net:net_dev_start_xmit", 2: "ip_rcv", 3: "enqueue_to_backlog", 4: "ip_output"}
	table, err := newTable(functions)
	if err != nil {
		t.Fatal(err)
	}
	const special, queues = 0x80, 0x01
	want := map[uint32]packetPathFunctionRow{
		1: {Outcome: uint8(journey.Transmitted) + 1, Flags: special}, 2: {Outcome: uint8(journey.Consumed) + 1, Flags: special},
		3: {Flags: special | queues}, 4: {},
	}
	for address, w := range want {
		if got := table.find(address); got.Outcome != w.Outcome || got.Flags != w.Flags {
			t.Errorf("%s: outcome %d, flags %#x, want %d, %#x", functions[address], got.Outcome, got.Flags, w.Outcome, w.Flags)
		}
	}
}

func TestTooManyFunctions(t *testing.T) {
	functions := make(map[uint32]string)
	for i := range uint32(maxFunctions + 1) {
		functions[i+1] = "f"
	}
	if _, err := newTable(functions); err == nil {
		t.Error("no error")
	}
}

func TestTableFitsTheObject(t *testing.T) {
	spec, err := loadPacketPath()
	if err != nil {
		t.Fatal(err)
	}
	var table table
	for name, size := range map[string]uintptr{
		packetPathVarFunctionRows: unsafe.Sizeof(table.rows), packetPathVarFunctionRoles: unsafe.Sizeof(table.roles),
		packetPathVarDisplacements: unsafe.Sizeof(table.displacements),
	} {
		if got := spec.Variables[name].Size(); got != uint32(size) {
			t.Errorf("%s has %d bytes in the object, %d here", name, got, size)
		}
	}
	for o, want := range map[packetPathOutcome]journey.Outcome{
		packetPathOutcomeOUTCOME_CONSUMED: journey.Consumed, packetPathOutcomeOUTCOME_DELIVERED: journey.Delivered,
		packetPathOutcomeOUTCOME_TRANSMITTED: journey.Transmitted, packetPathOutcomeOUTCOME_DROPPED: journey.Dropped,
		packetPathOutcomeOUTCOME_ABSORBED: journey.Absorbed, packetPathOutcomeOUTCOME_EXPIRED: journey.Expired,
	} {
		if journey.Outcome(o) != want {
			t.Errorf("outcome %d is %v", o, want)
		}
	}
	if packetPathOutcomeOUTCOMES != packetPathOutcome(len(journey.Outcomes())) {
		t.Error("not as many outcomes")
	}
}
