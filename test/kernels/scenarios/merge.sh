# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Two segments of a connection that nobody accepts. TCP puts the second into the
# first; but not where a tap holds a clone of the first.
ip netns add merge-a
ip netns add merge-b
ip link add east address 02:00:00:0b:10:01 netns merge-a type veth peer name west address 02:00:00:0b:10:02 netns merge-b
ip -n merge-a address add 10.11.16.1/24 dev east
ip -n merge-b address add 10.11.16.2/24 dev west
ip -n merge-a link set east up
ip -n merge-b link set west up

# unread PORT: closes the socket once both segments are in it.
unread() {
	ip netns exec merge-b socat -u "TCP-LISTEN:$1" OPEN:/dev/null &
	server=$!
	await 60 ip netns exec merge-b sh -c "ss -ltnH | grep -q :$1"
	kill -STOP $server
	ip netns exec merge-a packets segments -to "10.11.16.2:$1" -sizes 300,100 2>/dev/null &
	client=$!
	await 60 ip netns exec merge-b sh -c "ss -tnH sport = :$1 | awk '{ waiting += \$2 } END { exit waiting < 400 }'"
	kill -KILL $server
	if wait $client; then
		echo "port $1: closed, and not reset"
		return 1
	fi
}

unread 7024
ip netns exec merge-b packets tap -device west -count 0 >"$OUT.tap" &
tap=$!
await 60 grep -q ready "$OUT.tap"
unread 7025
kill $tap
