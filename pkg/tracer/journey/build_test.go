// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// visits reads one visit a line: offset in ns, function, "depth N", "caller F",
// "stack" for a new stack.
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
				v.Caller = words[i]
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
		fmt.Fprintf(&b, "%*s%s %d+%d\n", 2*h.Depth, "", h.Function, h.Offset.Nanoseconds(), h.Duration.Nanoseconds())
		for len(waits) > 0 && waits[0].After == i {
			fmt.Fprintf(&b, "wait %s > %s %d+%d\n", waits[0].From, waits[0].To, waits[0].Offset.Nanoseconds(), waits[0].Duration.Nanoseconds())
			waits = waits[1:]
		}
	}
	fmt.Fprintf(&b, "%s %d", j.Outcome, j.Duration.Nanoseconds())
	if j.Drop != nil {
		fmt.Fprintf(&b, " %s at hop %d", j.Drop.Reason, j.Drop.Hop)
	}
	return b.String()
}

func TestBuild(t *testing.T) {
	tests := map[string]struct {
		visits  string
		drop    *Drop
		expired bool
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
				    dev_hard_start_xmit 40+60
				transmitted 100`,
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
				  ip_rcv 60+40
				consumed 100`,
		},
		"the wait begins at the queue, not at what was called in it": {
			visits: `
				0ns ip_finish_output2
				10ns __neigh_event_send depth 1
				12ns skb_clone depth 2
				50ns neigh_resolve_output stack`,
			want: `
				ip_finish_output2 0+12
				  __neigh_event_send 10+2
				    skb_clone 12+0
				wait __neigh_event_send > neigh_resolve_output 12+38
				neigh_resolve_output 50+50
				consumed 100`,
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
				dev_hard_start_xmit 90+10
				transmitted 100`,
		},
		"a queue that was left is a wait, though its stack is there again": {
			visits: `
				0ns ip_finish_output2
				10ns __neigh_event_send depth 1
				12ns skb_clone depth 2
				50ns neigh_resolve_output`,
			want: `
				ip_finish_output2 0+12
				  __neigh_event_send 10+2
				    skb_clone 12+0
				wait __neigh_event_send > neigh_resolve_output 12+38
				neigh_resolve_output 50+50
				consumed 100`,
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
				  ip_route_input_noref 30+70
				consumed 100`,
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
				dropped 100 NETFILTER_DROP at hop 1`,
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
				dropped 100 NO_SOCKET at hop 1`,
		},
		"received again after transmission": {
			visits: `
				0ns dev_hard_start_xmit
				10ns __netif_receive_skb_core
				20ns icmp_rcv`,
			want: `
				dev_hard_start_xmit 0+10
				__netif_receive_skb_core 10+10
				icmp_rcv 20+80
				consumed 100`,
		},
		"delivered": {
			visits: `
				0ns udp_queue_rcv_one_skb
				10ns __udp_enqueue_schedule_skb depth 1
				80ns skb_consume_udp stack`,
			want: `
				udp_queue_rcv_one_skb 0+10
				  __udp_enqueue_schedule_skb 10+0
				wait __udp_enqueue_schedule_skb > skb_consume_udp 10+70
				skb_consume_udp 80+20
				delivered 100`,
		},
		"expired": {visits: `0ns ip_rcv`, expired: true, want: "ip_rcv 0+100\nexpired 100"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := render(Build(&Record{
				Duration: 100, Visits: visits(t, test.visits), Drop: test.drop, Expired: test.expired,
			}))
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

func TestLifeOf(t *testing.T) {
	for function, want := range map[string]Life{
		"skb_release_head_state": Ends, "sock_wfree": Late, "skb_release_data": Gone, "ip_rcv": Lives,
	} {
		if got := LifeOf(function); got != want {
			t.Errorf("LifeOf(%s) = %d, want %d", function, got, want)
		}
	}
}

// FuzzBuild makes visits of any order and depth of few functions, some of
// which mean something.
func FuzzBuild(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 0x42, 0x83})
	f.Add([]byte{5, 0x85, 5, 0x25, 7})
	functions := []string{"ip_rcv", "enqueue_to_backlog", "dev_hard_start_xmit", "skb_release_head_state", "fq_enqueue", "tcp_v4_do_rcv"}
	f.Fuzz(func(t *testing.T, steps []byte) {
		r := &Record{Duration: time.Duration(10 * len(steps))}
		for i, s := range steps {
			r.Visits = append(r.Visits, Visit{
				Function: functions[int(s)%len(functions)], Caller: functions[int(s>>3)%len(functions)],
				Offset: time.Duration(10*i) - time.Duration(s&1)*15, // clocks of CPUs may differ
				Depth:  int(s >> 4 & 7), NewStack: s&0x80 != 0,
			})
		}
		checkTree(t, Build(r), len(steps))
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
