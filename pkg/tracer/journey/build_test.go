// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"
)

// visits reads one visit a line: offset in ns, function, "depth N", "caller F" or
// "caller F+SITE", "stack" for a new stack.
func visits(t testing.TB, text string) []Visit {
	t.Helper()
	var all []Visit
	for line := range strings.Lines(strings.TrimSpace(text)) {
		words := strings.Fields(line)
		v := Visit{Function: words[1]}
		if _, err := fmt.Sscan(words[0], &v.Offset); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for i := 2; i < len(words); i++ {
			switch words[i] {
			case "stack":
				v.NewStack = true
			case "depth":
				i++
				if _, err := fmt.Sscan(words[i], &v.Depth); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
			case "caller":
				i++
				caller, site, _ := strings.Cut(words[i], "+")
				v.Caller = caller
				if _, err := fmt.Sscan(cmp.Or(site, "0"), &v.CallSite); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
			default:
				t.Fatalf("%q: unknown word %q", line, words[i])
			}
		}
		all = append(all, v)
	}
	return all
}

// render writes a journey as the tests expect it.
func render(j *Journey) string {
	var b strings.Builder
	waits := j.Waits
	for i, h := range j.Hops {
		fmt.Fprintf(&b, "%*s%s %d+%d", 2*h.Depth, "", h.Function, h.Offset.Nanoseconds(), h.Duration.Nanoseconds())
		if h.Via != "" {
			fmt.Fprintf(&b, " via %s", h.Via)
		}
		b.WriteString("\n")
		for len(waits) > 0 && waits[0].After == i {
			fmt.Fprintf(&b, "wait %s > %s %d+%d\n", waits[0].From, waits[0].To, waits[0].Offset.Nanoseconds(), waits[0].Duration.Nanoseconds())
			waits = waits[1:]
		}
	}
	if j.AbsorbedBy != 0 {
		fmt.Fprintf(&b, "%s by %d\n", j.Outcome, j.AbsorbedBy)
	}
	if j.Drop != nil {
		fmt.Fprintf(&b, "%s %s at hop %d", j.Outcome, j.Drop.Reason, j.Drop.Hop)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestBuild(t *testing.T) {
	tests := map[string]struct {
		visits  string
		drop    *Drop
		lost    string
		outcome Outcome
		merged  uint64 // the absorber
		want    string
	}{
		"calls nest and siblings end each other": {
			visits: `
				0ns ip_output
				10ns nf_hook_slow depth 1
				15ns ipv4_conntrack_local depth 2
				30ns ip_finish_output depth 1
				40ns dev_hard_start_xmit depth 2`,
			want: `
				ip_output 0+100
				  nf_hook_slow 10+20
				    ipv4_conntrack_local 15+15
				  ip_finish_output 30+70
				    dev_hard_start_xmit 40+60`,
		},
		"a backlog is a wait that ends what is open": {
			visits: `
				0ns dev_hard_start_xmit
				10ns enqueue_to_backlog depth 1
				50ns __netif_receive_skb stack
				60ns ip_rcv depth 1`,
			want: `
				dev_hard_start_xmit 0+10
				  enqueue_to_backlog 10+0
				wait enqueue_to_backlog > __netif_receive_skb 10+40
				__netif_receive_skb 50+50
				  ip_rcv 60+40`,
		},
		"the wait begins at the queue, not at what was called in it": {
			visits: `
				0ns ip_finish_output2
				10ns neigh_resolve_output depth 1
				12ns __neigh_event_send depth 2
				50ns neigh_resolve_output stack`,
			want: `
				ip_finish_output2 0+12
				  neigh_resolve_output 10+2
				    __neigh_event_send 12+0
				wait neigh_resolve_output > neigh_resolve_output 12+38
				neigh_resolve_output 50+50`,
		},
		"a queue on the same stack is a wait too": {
			visits: `
				0ns sch_direct_xmit
				10ns fq_codel_enqueue
				90ns dev_hard_start_xmit`,
			want: `
				sch_direct_xmit 0+10
				fq_codel_enqueue 10+0
				wait fq_codel_enqueue > dev_hard_start_xmit 10+80
				dev_hard_start_xmit 90+10`,
		},
		"a queue that was left is a wait, though its stack is there again": {
			visits: `
				0ns ip_finish_output2
				10ns neigh_resolve_output depth 1
				12ns __neigh_event_send depth 2
				50ns neigh_resolve_output`,
			want: `
				ip_finish_output2 0+12
				  neigh_resolve_output 10+2
				    __neigh_event_send 12+0
				wait neigh_resolve_output > neigh_resolve_output 12+38
				neigh_resolve_output 50+50`,
		},
		"what may park and goes on is no wait": {
			visits: `
				0ns neigh_resolve_output
				10ns __neigh_event_send depth 1
				20ns eth_header depth 1`,
			want: `
				neigh_resolve_output 0+100
				  __neigh_event_send 10+10
				  eth_header 20+80`,
		},
		"what may park and jumps to the next is no wait": {
			visits: `
				0ns ip_finish_output2
				5ns neigh_resolve_output depth 1 caller ip_finish_output2+7
				10ns eth_header depth 2
				20ns __dev_queue_xmit depth 1 caller ip_finish_output2+7`,
			want: `
				ip_finish_output2 0+100
				  neigh_resolve_output 5+15
				    eth_header 10+10
				  __dev_queue_xmit 20+80`,
		},
		"the caller tells what a stale stack does not": {
			visits: `
				0ns ip_rcv
				10ns ip_rcv_core depth 1 caller ip_rcv
				20ns sock_wfree depth 2 caller ip_rcv_core
				30ns ip_route_input_noref depth 3 caller ip_rcv`,
			want: `
				ip_rcv 0+100
				  ip_rcv_core 10+20
				    sock_wfree 20+10
				  ip_route_input_noref 30+70`,
		},
		"a drop is placed in the function that let go": {
			visits: `
				0ns ip_local_deliver
				10ns nf_hook_slow depth 1
				20ns kfree_skb_reason depth 2
				30ns skb_release_head_state depth 3`,
			drop: &Drop{Reason: "NETFILTER_DROP", Function: "nf_hook_slow"},
			want: `
				ip_local_deliver 0+100
				  nf_hook_slow 10+90
				    kfree_skb_reason 20+80
				      skb_release_head_state 30+70
				dropped NETFILTER_DROP at hop 1`,
		},
		"a drop is placed nowhere where the last hops are missing": {
			lost: BeyondLimit,
			visits: `
				0ns icmp_rcv
				10ns ping_rcv depth 1`,
			drop: &Drop{Reason: "NO_SOCKET", Function: "udp_rcv"},
			want: `
				icmp_rcv 0+100
				  ping_rcv 10+90
				dropped NO_SOCKET at hop -1`,
		},
		"a drop in a function that was not seen is placed before the freeing": {
			visits: `
				0ns icmp_rcv
				10ns ping_rcv depth 1
				20ns sk_skb_reason_drop depth 1
				30ns skb_release_head_state depth 2`,
			drop: &Drop{Reason: "NO_SOCKET", Function: "inlined"},
			want: `
				icmp_rcv 0+100
				  ping_rcv 10+10
				  sk_skb_reason_drop 20+80
				    skb_release_head_state 30+70
				dropped NO_SOCKET at hop 1`,
		},
		"a socket's queue is a wait": {
			visits: `
				0ns udp_queue_rcv_one_skb
				10ns __udp_enqueue_schedule_skb depth 1
				80ns skb_consume_udp stack`,
			want: `
				udp_queue_rcv_one_skb 0+10
				  __udp_enqueue_schedule_skb 10+0
				wait __udp_enqueue_schedule_skb > skb_consume_udp 10+70
				skb_consume_udp 80+20`,
		},
		"a fragment waits for the others": {
			visits: `
				0ns __netif_receive_skb_core
				10ns inet_frag_queue_insert
				80ns consume_skb`,
			want: `
				__netif_receive_skb_core 0+10
				inet_frag_queue_insert 10+0
				wait inet_frag_queue_insert > consume_skb 10+70
				consume_skb 80+20`,
		},
		"a caller that is no hop was passed": {
			visits: `
				0ns __netif_receive_skb stack caller process_backlog+1
				10ns ip_local_deliver depth 1 caller __netif_receive_skb+2
				20ns nf_hook_slow depth 2 caller ip_local_deliver+3
				30ns nf_nat_ipv4_fn depth 3 caller nft_do_chain+4
				40ns sk_skb_reason_drop depth 3 caller nft_do_chain+5`,
			want: `
				__netif_receive_skb 0+100 via process_backlog
				  ip_local_deliver 10+90
				    nf_hook_slow 20+80
				      nf_nat_ipv4_fn 30+10 via nft_do_chain
				      sk_skb_reason_drop 40+60 via nft_do_chain`,
		},
		"a function that was jumped to is not called by its caller": {
			visits: `
				0ns ip_output caller raw_sendmsg+1
				10ns nf_hook_slow depth 1 caller ip_output+2
				20ns ip_finish_output caller raw_sendmsg+1
				30ns __ip_finish_output caller raw_sendmsg+1
				40ns ip_finish_output2 caller raw_sendmsg+1
				50ns consume_skb caller raw_sendmsg+3`,
			want: `
				ip_output 0+20 via raw_sendmsg
				  nf_hook_slow 10+10
				ip_finish_output 20+10
				__ip_finish_output 30+10
				ip_finish_output2 40+10
				consume_skb 50+50 via raw_sendmsg`,
		},
		"a jump from a function below a hop": {
			visits: `
				0ns ip_rcv caller process_backlog+1
				10ns ip_rcv_finish depth 1 caller ip_rcv+2
				20ns ip_local_deliver depth 1 caller ip_rcv+2
				30ns raw_rcv depth 2 caller ip_local_deliver_finish+3
				40ns raw_rcv_skb depth 2 caller ip_local_deliver_finish+3`,
			want: `
				ip_rcv 0+100 via process_backlog
				  ip_rcv_finish 10+10
				  ip_local_deliver 20+80
				    raw_rcv 30+10 via ip_local_deliver_finish
				    raw_rcv_skb 40+60`,
		},
		"the same return address on another stack is no jump": {
			visits: `
				0ns __netif_receive_skb caller process_backlog+1
				10ns enqueue_to_backlog depth 1 caller br_forward+2
				50ns __netif_receive_skb stack caller process_backlog+1`,
			want: `
				__netif_receive_skb 0+10 via process_backlog
				  enqueue_to_backlog 10+0 via br_forward
				wait enqueue_to_backlog > __netif_receive_skb 10+40
				__netif_receive_skb 50+50 via process_backlog`,
		},
		"a hop that counts as returned was visited all the same": { // more calls nest than are kept
			visits: `
				0ns ip_rcv
				10ns tcp_v4_rcv depth 1 caller ip_rcv+1
				20ns tcp_v4_do_rcv depth 1 caller tcp_v4_rcv+2
				30ns tcp_rcv_state_process depth 1 caller tcp_v4_do_rcv+3
				40ns tcp_ack depth 1 caller tcp_rcv_state_process+4`,
			want: `
				ip_rcv 0+100
				  tcp_v4_rcv 10+10
				  tcp_v4_do_rcv 20+10
				  tcp_rcv_state_process 30+10
				  tcp_ack 40+60`,
		},
		"a hop with its parent's caller may be beside the parent": {
			visits: `
				0ns ip_rcv
				10ns udp_rcv depth 1 caller ip_protocol_deliver_rcu+1
				20ns icmp_rcv depth 2 caller ip_protocol_deliver_rcu+2`,
			want: `
				ip_rcv 0+100
				  udp_rcv 10+90 via ip_protocol_deliver_rcu
				    icmp_rcv 20+80`,
		},
		"a segment is merged into another packet": {
			visits: `
				0ns tcp_gro_receive
				10ns skb_gro_receive depth 1`,
			outcome: Absorbed, merged: 7,
			want: `
				tcp_gro_receive 0+100
				  skb_gro_receive 10+90
				absorbed by 7`,
		},
		"a merge that fails leaves the packet alone": {
			visits: `
				0ns tcp_gro_receive
				10ns skb_gro_receive depth 1
				20ns __netif_receive_skb_core`,
			outcome: Consumed, merged: 7,
			want: `
				tcp_gro_receive 0+20
				  skb_gro_receive 10+10
				__netif_receive_skb_core 20+80`,
		},
		"TCP works on what it has queued until its function returns": {
			visits: `
				0ns tcp_rcv_established
				10ns tcp_queue_rcv depth 1
				20ns tcp_event_data_recv depth 1
				80ns skb_copy_datagram_iter stack`,
			want: `
				tcp_rcv_established 0+20
				  tcp_queue_rcv 10+10
				  tcp_event_data_recv 20+0
				wait tcp_rcv_established > skb_copy_datagram_iter 20+60
				skb_copy_datagram_iter 80+20`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &Record{Duration: 100, Visits: visits(t, test.visits), Outcome: test.outcome, Absorber: test.merged, Lost: test.lost}
			if test.drop != nil {
				r.Outcome, r.Drop = Dropped, test.drop
			}
			got := render(Build(r))
			if want := unindent(test.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// unindent takes the tests' own indentation away.
func unindent(text string) string {
	return strings.ReplaceAll(strings.Trim(text, "\n\t"), "\t", "")
}

func TestLineage(t *testing.T) {
	for name, test := range map[string]struct {
		first  string
		parent *Parent
		want   Lineage
		hop    int
	}{
		"no parent":     {first: "ip_output", want: Original},
		"clone":         {first: "__copy_skb_header", parent: &Parent{ID: 1, Hop: 4, Maker: "skb_clone"}, want: Clone, hop: 4},
		"morph":         {first: "__copy_skb_header", parent: &Parent{ID: 1, Hop: 4, Maker: "skb_morph"}, want: Clone, hop: 4},
		"copy":          {first: "__copy_skb_header", parent: &Parent{ID: 1, Hop: 4, Maker: "__pskb_copy_fclone"}, want: Copy, hop: 4},
		"segment":       {first: "__copy_skb_header", parent: &Parent{ID: 1, Hop: 4, Maker: "skb_segment"}, want: Segment, hop: 4},
		"fragment":      {first: "ip_copy_metadata", parent: &Parent{ID: 1, Hop: 4, Maker: "ip_do_fragment"}, want: Fragment, hop: 4},
		"is sent again": {first: "ip_output", parent: &Parent{ID: 1, Again: true}, want: Retransmission, hop: NoHop},
	} {
		j := Build(&Record{Parent: test.parent, Visits: []Visit{{Function: test.first}}})
		if j.Lineage != test.want || j.ParentHop != test.hop {
			t.Errorf("%s: %s, made in hop %d, want %s in %d", name, j.Lineage, j.ParentHop, test.want, test.hop)
		}
	}
}

func TestLifeOf(t *testing.T) {
	for function, want := range map[string]Life{
		"skb_release_head_state": Ends, "sock_wfree": Late, "skb_release_data": Gone, "ip_rcv": Lives,
		"skb_attempt_defer_free": Ends, "napi_consume_skb": Late, "kfree_skb_napi_cache": Gone,
		"skb_split": Splits, "skb_copy_datagram_from_iter": Late, "tpacket_get_timestamp": Late,
	} {
		if got := LifeOf(function); got != want {
			t.Errorf("LifeOf(%s) = %d, want %d", function, got, want)
		}
	}
}

func TestEvidence(t *testing.T) {
	for function, want := range map[string]Outcome{
		"skb_consume_udp": Delivered, "dev_hard_start_xmit": Transmitted, "net:net_dev_start_xmit": Transmitted,
		"skb_clone_tx_timestamp": Transmitted, "skb_gro_receive": Absorbed, "inet_frag_queue_insert": Absorbed, "__netif_receive_skb_core": Consumed,
		"tpacket_get_timestamp": Delivered, "arp_rcv": Consumed, "ip_local_deliver": Consumed,
	} {
		if got, ok := Evidence(function); got != want || !ok {
			t.Errorf("Evidence(%s) = %s, %t, want %s", function, got, ok, want)
		}
	}
	if got, ok := Evidence("icmp_rcv"); ok {
		t.Errorf("icmp_rcv is evidence of %s", got)
	}
}

// FuzzBuild makes visits of any order and depth of few functions, some of
// which mean something.
// TestMeasuredCalls: what was seen to return took as long as that, and what is inside of
// it no longer, though nothing was seen before the next hop.
func TestMeasuredCalls(t *testing.T) {
	r := &Record{Duration: 100, Visits: visits(t, `
		0 ip_rcv
		10 ip_rcv_core depth 1
		20 sock_wfree depth 2
		50 ip_rcv_finish_core depth 1
		80 ip_local_deliver
		90 raw_local_deliver depth 1
	`), Calls: []Call{
		{Before: 3, Depth: 1, Duration: 15},
		{Before: 4, Depth: 1, Duration: 7}, {Before: 4, Depth: 0, Duration: 60},
		{Before: 6, Depth: 1, Duration: 4},
	}}
	want := map[string]struct {
		duration time.Duration
		exact    bool
	}{
		"ip_rcv": {60, true}, "ip_rcv_core": {15, true}, "sock_wfree": {5, false}, "ip_rcv_finish_core": {7, true},
		"ip_local_deliver": {20, false}, "raw_local_deliver": {4, true},
	}
	for _, h := range Build(r).Hops {
		if w := want[h.Function]; h.Duration != w.duration || h.Exact != w.exact {
			t.Errorf("%s: %d ns, exact %v; want %d, %v", h.Function, h.Duration, h.Exact, w.duration, w.exact)
		}
	}
}

// TestMeasuredBeyondTheEnd: on another CPU the packet has ended by the return.
func TestMeasuredBeyondTheEnd(t *testing.T) {
	r := &Record{Duration: 100, Visits: visits(t, `
		0 netif_rx
		50 ip_rcv stack
		100 skb_release_head_state depth 1
	`), Calls: []Call{{Before: 3, Depth: 0, Duration: 70}}}
	if h := Build(r).Hops[1]; h.Duration != 50 || h.Exact {
		t.Errorf("%+v", h)
	}
}

// TestMeasuredBeforeAWait: the function that parks the packet is done after its last hop,
// and the one around it is not done before it.
func TestMeasuredBeforeAWait(t *testing.T) {
	r := &Record{Duration: 100, Visits: visits(t, `
		0 netif_rx
		10 enqueue_to_backlog depth 1
		50 ip_rcv stack
	`), Calls: []Call{{Before: 2, Depth: 1, Duration: 8}}}
	j := Build(r)
	if outer, inner := j.Hops[0], j.Hops[1]; outer.Duration != 18 || outer.Exact || inner.Duration != 8 || !inner.Exact {
		t.Errorf("%+v\n%+v", outer, inner)
	}
}

func FuzzBuild(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 0x42, 0x83})
	f.Add([]byte{5, 0x85, 5, 0x25, 7})
	functions := []string{"ip_rcv", "enqueue_to_backlog", "dev_hard_start_xmit", "skb_release_head_state", "fq_enqueue", "tcp_v4_do_rcv"}
	f.Fuzz(func(t *testing.T, steps []byte) {
		r := &Record{Duration: time.Duration(10 * len(steps))}
		for i, s := range steps {
			r.Visits = append(r.Visits, Visit{
				Function: functions[int(s)%len(functions)], Caller: functions[int(s>>3)%len(functions)], CallSite: uint32(s & 3),
				Offset: time.Duration(10*i) - time.Duration(s&1)*15, // clocks of CPUs may differ
				Depth:  int(s >> 4 & 7), NewStack: s&0x80 != 0,
			})
			if s&2 != 0 {
				r.Calls = append(r.Calls, Call{Before: i + int(s&1), Depth: int(s >> 3 & 7), Duration: time.Duration(s)})
			}
		}
		calls := len(r.Calls)
		j := Build(r)
		checkTree(t, j, len(steps))
		exact := 0
		for _, h := range j.Hops {
			if h.Exact {
				exact++
			}
		}
		if exact > calls {
			t.Errorf("%d calls made %d durations exact", calls, exact)
		}
	})
}

func checkTree(t *testing.T, j *Journey, visits int) {
	t.Helper()
	if len(j.Hops) != visits {
		t.Fatalf("%d visits became %d hops", visits, len(j.Hops))
	}
	for i, h := range j.Hops {
		depth := 0
		if h.Parent >= i {
			t.Fatalf("hop %d is inside a later one, %d", i, h.Parent)
		}
		if h.Parent >= 0 {
			depth = j.Hops[h.Parent].Depth + 1
		}
		if h.Via != "" && (h.Via != h.Caller || h.Parent >= 0 && h.Via == j.Hops[h.Parent].Function) {
			t.Fatalf("hop %d: via %q, called by %q in %+v", i, h.Via, h.Caller, j.Hops)
		}
		if h.Depth != depth || h.Duration < 0 {
			t.Fatalf("hop %d: depth %d, want %d; duration %v", i, h.Depth, depth, h.Duration)
		}
	}
	for _, w := range j.Waits {
		if w.Duration < 0 || w.After < 0 || w.After >= visits-1 {
			t.Fatalf("impossible wait %+v", w)
		}
	}
}
