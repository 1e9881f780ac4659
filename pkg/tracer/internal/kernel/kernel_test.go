// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

const kallsyms = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000100 t ip_rcv_core
ffffffff81000200 t helper
ffffffff81000300 t helper
ffffffff81000400 t ip_fragment.constprop.0
ffffffff81000500 t ip_fragment.part.0
ffffffff81000600 t __netif_receive_skb_core.constprop.0
ffffffff82000000 D init_task
ffffffffc0a00000 t veth_xmit	[veth]
`

func symbols(t *testing.T) *Symbols {
	t.Helper()
	s, err := parseSymbols(strings.NewReader(kallsyms))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSymbolSize(t *testing.T) {
	s := NewSymbols([]Symbol{
		{Address: 0x1000, Name: "short"}, {Address: 0x1000, Name: "alias"}, {Address: 0x1030, Name: "long"}, {Address: 0x9000, Name: "last"},
	})
	for name, want := range map[string]uint32{"short": 0x30, "alias": 0x30, "long": 4096, "last": 4096} {
		if got := s.Size(s.Named(name)[0]); got != want {
			t.Errorf("%s has %d bytes, want %d", name, got, want)
		}
	}
}

func TestSymbolAt(t *testing.T) {
	s := symbols(t)
	for address, want := range map[uint64]string{
		0xffffffff81000100: "ip_rcv_core", 0xffffffff810001ff: "ip_rcv_core",
		0xffffffffc0a00010: "veth_xmit", 0xffffffff80000000: "",
	} {
		if got, _ := s.At(address); got.Name != want {
			t.Errorf("At(%#x) = %q, want %q", address, got.Name, want)
		}
	}
	if got, want := s.Widen(0xc0a00010), uint64(0xffffffffc0a00010); got != want {
		t.Errorf("Widen = %#x, want %#x", got, want)
	}
}

func TestSymbolsNamed(t *testing.T) {
	s := symbols(t)
	if got := s.Named("helper"); len(got) != 2 {
		t.Errorf("helper is %v, want two", got)
	}
	if got := s.Named("veth_xmit"); len(got) != 1 || got[0].Module != "veth" {
		t.Errorf("veth_xmit is %v, want one of module veth", got)
	}
	if got := s.Named("init_task"); got != nil {
		t.Errorf("data counts as text: %v", got)
	}
}

func TestSuffixedSymbols(t *testing.T) {
	bases := symbols(t).SuffixedByBase()
	if got := bases["ip_fragment"]; len(got) != 1 || got[0].Name != "ip_fragment.constprop.0" {
		t.Errorf("ip_fragment was made %v", got)
	}
	if got := BaseName("__netif_receive_skb_core.constprop.0"); got != "__netif_receive_skb_core" {
		t.Errorf("base name %q", got)
	}
}

func TestSymbolErrors(t *testing.T) {
	_, err := parseSymbols(strings.NewReader("0000000000000000 T _stext\n"))
	if !errors.Is(err, ErrSymbolsHidden) {
		t.Errorf("zero addresses: %v", err)
	}
	for _, bad := range []string{"ffffffff81000000", "xyz T _stext"} {
		if _, err := parseSymbols(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func skb() btf.Type { return &btf.Struct{Name: "sk_buff"} }

func pointer(to btf.Type) btf.Type { return &btf.Pointer{Target: to} }

func TestSkbArguments(t *testing.T) {
	integer := &btf.Int{Name: "int", Size: 4}
	other := pointer(&btf.Struct{Name: "sock"})
	typedef := &btf.Typedef{Name: "skb_t", Type: skb()}
	pair := &btf.Struct{Name: "pair", Size: 16}
	large := &btf.Struct{Name: "large", Size: 24}
	tests := map[string]struct {
		parameters []btf.Type
		want       []Argument
	}{
		"first":                            {[]btf.Type{pointer(skb())}, []Argument{{Register: 1}}},
		"const":                            {[]btf.Type{integer, pointer(&btf.Const{Type: skb()})}, []Argument{{Register: 2}}},
		"typedef and volatile":             {[]btf.Type{&btf.Volatile{Type: pointer(typedef)}}, []Argument{{Register: 1}}},
		"by reference":                     {[]btf.Type{pointer(pointer(skb()))}, []Argument{{Register: 1, Reference: true}}},
		"both of two":                      {[]btf.Type{pointer(skb()), pointer(skb())}, []Argument{{Register: 1}, {Register: 2}}},
		"sixth":                            {[]btf.Type{other, other, other, other, other, pointer(skb())}, []Argument{{Register: 6}}},
		"seventh is on the stack":          {[]btf.Type{other, other, other, other, other, other, pointer(skb())}, nil},
		"behind a structure of two words":  {[]btf.Type{pair, pointer(skb())}, []Argument{{Register: 3}}},
		"behind a structure in memory":     {[]btf.Type{large, pointer(skb())}, []Argument{{Register: 1}}},
		"none":                             {[]btf.Type{other, integer}, nil},
		"by value is not a packet":         {[]btf.Type{skb()}, nil},
		"reference to reference is no skb": {[]btf.Type{pointer(pointer(pointer(skb())))}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			proto := &btf.FuncProto{Return: integer}
			for _, p := range test.parameters {
				proto.Params = append(proto.Params, btf.FuncParam{Type: p})
			}
			if got := skbArguments(proto); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestRunningKernel reads the BTF of this machine: no program is loaded.
func TestRunningKernel(t *testing.T) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	functions, err := SkbFunctions(spec, "")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]Argument)
	for _, f := range functions {
		found[f.Name] = f.Arguments
	}
	for name, want := range map[string]Argument{
		"ip_rcv":               {Register: 1},
		"skb_copy":             {Register: 1}, // const
		"tcp_ack":              {Register: 2}, // const
		"br_handle_frame":      {Register: 1, Reference: true},
		"__udp4_lib_rcv":       {Register: 1},
		"skb_try_coalesce":     {Register: 1},
		"ip_local_out":         {Register: 3},
		"__copy_skb_header":    {Register: 1},
		"skb_gro_receive":      {Register: 1},
		"sk_skb_reason_drop":   {Register: 2},
		"tcp_v4_send_synack":   {Register: 6},
		"__ip_options_compile": {Register: 3},
	} {
		if got, ok := found[name]; ok && got[0] != want {
			t.Errorf("%s takes its skb in %v, want %v", name, got[0], want)
		}
	}
	for _, name := range []string{"ip_rcv", "skb_copy", "tcp_ack", "ip_local_out"} {
		if found[name] == nil {
			t.Errorf("%s is not found among %d functions", name, len(found))
		}
	}
	checkReasons(t)
	checkTracepoints(t, spec)
}

func checkReasons(t *testing.T) {
	t.Helper()
	reasons, err := ReadReasons(btf.NewCache())
	if err != nil {
		t.Fatal(err)
	}
	numbers := make(map[string]uint32)
	for number, name := range reasons.names {
		numbers[name] = number
	}
	for _, name := range []string{"NOT_SPECIFIED", "NO_SOCKET", "NETFILTER_DROP"} {
		if numbers[name] == 0 {
			t.Errorf("drop reason %s is not found among %d", name, len(numbers))
		}
	}
	if reason, subsystem := reasons.Name(numbers["NO_SOCKET"]); reason != "NO_SOCKET" || subsystem != "core" {
		t.Errorf("NO_SOCKET is named %s of %s", reason, subsystem)
	}
	if reason, subsystem := reasons.Name(0x7fff0001); reason != "0x7fff0001" || subsystem != "0x7fff" {
		t.Errorf("an unknown reason is named %s of %s", reason, subsystem)
	}
}

func checkTracepoints(t *testing.T, spec *btf.Spec) {
	t.Helper()
	tracepoints, err := SkbTracepoints(spec)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]Tracepoint)
	for _, p := range tracepoints {
		found[p.Name] = p
	}
	for _, name := range []string{"kfree_skb", "consume_skb", "netif_receive_skb", "net_dev_queue"} {
		if found[name].Argument != 1 {
			t.Errorf("tracepoint %s: %+v, want its skb first", name, found[name])
		}
	}
}

func TestClockOffset(t *testing.T) {
	first, err := ClockOffset()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ClockOffset()
	if err != nil {
		t.Fatal(err)
	}
	if difference := (again - first).Abs(); difference > 1e6 {
		t.Errorf("two offsets differ by %v", difference)
	}
}

func TestNetnsInode(t *testing.T) {
	info, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var inode uint32
	if _, err := fmt.Sscanf(info, "net:[%d]", &inode); err != nil {
		t.Fatal(err)
	}
	for _, netns := range []string{"/proc/self/ns/net", fmt.Sprintf("inode:%d", inode)} {
		if got, err := NetnsInode(netns); err != nil || got != inode {
			t.Errorf("%s: %d, %v; want %d", netns, got, err, inode)
		}
	}
	for _, bad := range []string{"inode:", "inode:0", "inode:x", "no-such-netns", "/no/such/path", "/proc/self/status", "/proc/self/ns/mnt"} {
		if _, err := NetnsInode(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestNameWords(t *testing.T) {
	if a, b := NameWords("eth0"), NameWords("eth0.100"); a == b || a[0] == 0 || NameWords("") != [2]uint64{} {
		t.Errorf("eth0 %x, eth0.100 %x", a, b)
	}
}
