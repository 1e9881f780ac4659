# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Two segments of a connection that nobody accepts. TCP puts the second into the
# first; but not where a tap holds a clone of the first. Then a segment of one that
# is accepted, and of which nobody reads.
ip netns add merge-a
ip netns add merge-b
ip link add east address 02:00:00:0b:10:01 netns merge-a type veth peer name west address 02:00:00:0b:10:02 netns merge-b
ip -n merge-a address add 10.11.16.1/24 dev east
ip -n merge-b address add 10.11.16.2/24 dev west
ip -n merge-a link set east up
ip -n merge-b link set west up

# serve PORT: a server that only writes, of what never comes.
serve() {
	ip netns exec merge-b socat -U "TCP-LISTEN:$1" PIPE &
	server=$!
	await 60 ip netns exec merge-b sh -c "ss -ltnH | grep -q :$1"
}

# close_unread PORT BYTES: ends the server once so much is in its socket.
close_unread() {
	await 60 ip netns exec merge-b sh -c "ss -tnH sport = :$1 | awk '{ waiting += \$2 } END { exit waiting < $2 }'"
	kill -KILL $server
	if wait $client; then
		echo "port $1: closed, and not reset"
		return 1
	fi
}

# segments PORT SIZES
segments() {
	ip netns exec merge-a packets segments -to "10.11.16.2:$1" -sizes "$2" 2>/dev/null &
	client=$!
}

# unaccepted PORT: sends two segments to a server that is stopped.
unaccepted() {
	serve "$1"
	kill -STOP $server
	segments "$1" 300,100
	close_unread "$1" 400
}

unaccepted 7024
ip netns exec merge-b packets tap -device west -count 0 >"$OUT.tap" &
tap=$!
await 60 grep -q ready "$OUT.tap"
unaccepted 7025
kill $tap

serve 7029
segments 7029 200
# Who has accepted its only connection listens no more.
await 60 ip netns exec merge-b sh -c '! ss -ltnH | grep -q :7029'
close_unread 7029 200
