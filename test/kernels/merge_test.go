// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

// mergeClaims: tcp_queue_rcv tries to put a segment into the last one of the receive
// queue (tcp_try_coalesce, skb_try_coalesce). That is refused where the last has been
// cloned; then the segment goes into the queue itself. What is in the queue of a
// connection that nobody has accepted is purged with it, which the kernel calls a drop;
// of one that has been accepted, __tcp_close frees what is in the queue.
func mergeClaims() []claim {
	const merged, refused, accepted = 7024, 7025, 7029
	segment := func(port, bytes int) claim {
		const headers = 20 + 32 // IP, TCP with its timestamps
		return claim{
			transport: "tcp", from: "10.11.16.1", to: "10.11.16.2", port: port, lineage: original,
			which: func(j *journey) bool { return *j.Hops[0].Length == uint32(bytes+headers) },
			path:  []string{"ip_output", sent, backlog, received, tcpInput, "tcp_rcv_established"},
			whole: true,
		}
	}
	claims := []claim{segment(merged, 300), segment(merged, 100), segment(refused, 300), segment(refused, 100)}
	for i, what := range []string{"first segment", "second goes into it", "first segment, cloned by a tap", "second stays by itself"} {
		claims[i].what, claims[i].outcomes = what, []string{"delivered", "dropped"}
	}
	for _, i := range []int{1, 3} {
		claims[i].path = append(claims[i].path, "tcp_try_coalesce", "skb_try_coalesce")
	}
	claims[1].outcomes, claims[1].into = []string{"absorbed"}, &claims[0]
	closed := segment(accepted, 200)
	closed.what, closed.outcomes, closed.end = "nobody reads it before the socket is closed", []string{"delivered"}, closedOn()
	return append(claims, closed)
}
