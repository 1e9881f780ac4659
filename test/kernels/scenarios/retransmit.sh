# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What TCP sends again: a segment that is dropped, a long packet of which parts are
# sent again, and a segment that has arrived and waits in its socket.
ip netns add again-a
ip netns add again-b
ip link add east netns again-a type veth peer name west netns again-b
ip -n again-a address add 10.11.10.1/24 dev east
ip -n again-b address add 10.11.10.2/24 dev west
ip -n again-a address add fd00:11:10::1/64 dev east nodad
ip -n again-b address add fd00:11:10::2/64 dev west nodad
ip -n again-a link set east up
ip -n again-b link set west up
in_a() { ip netns exec again-a "$@"; }
in_b() { ip netns exec again-b "$@"; }
# listen PORT FILE: what comes in goes to the file.
listen() {
	ip netns exec again-b socat -u "TCP6-LISTEN:$1" "CREATE:$2" & # itself, not a shell that waits for it
	server=$!
	await 60 ip netns exec again-b sh -c "ss -ltnH | grep -q :$1"
}
in_b nft add table ip filter
in_b nft add chain ip filter in '{ type filter hook input priority filter; }'

# Of two segments a rule drops the first until it is taken away: the second waits for
# the first to be sent again.
in_b nft add rule ip filter in tcp dport 7018 meta length '>' 900 counter drop
listen 7018 /run/again
in_a packets segments -to 10.11.10.2:7018 -sizes 1000,200 &
client=$!
await 60 ip netns exec again-b sh -c "nft list ruleset | grep -q 'counter packets [1-9]'"
await 60 ip netns exec again-b awk '/^TcpExt:/ { if (at) exit $at < 1; for (i = 2; i <= NF; i++) if ($i == "TCPOFOQueue") at = i }' /proc/net/netstat
sleep 1 # so that it is known how long the second waits at least
in_b nft flush chain ip filter in
wait $client $server
stat -c %s /run/again | grep -qx 1200

# A packet of two segments is dropped as often as it comes whole, so that TCP sends
# the segments one by one: it splits what it keeps.
in_b nft add rule ip filter in tcp dport 7021 meta length '>' 2000 drop
listen 7021 /run/parts
in_a packets segments -to 10.11.10.2:7021 -sizes 2500
wait $server
stat -c %s /run/parts | grep -qx 2500
in_b nft flush chain ip filter in

# By IPv6. The sender gets no acknowledgement. Nobody reads the socket either, so that what was
# sent first still is there when it is sent again.
listen 7022 /run/early
kill -STOP $server
in_b nft add table ip6 filter
in_b nft add chain ip6 filter in '{ type filter hook input priority filter; }'
in_b nft add rule ip6 filter in tcp dport 7022 meta length '>' 300 counter
in_a nft add table ip6 filter
in_a nft add chain ip6 filter in '{ type filter hook input priority filter; }'
in_a nft add rule ip6 filter in tcp sport 7022 tcp flags '&' syn == 0 drop
in_a packets segments -to '[fd00:11:10::2]:7022' -sizes 300 &
client=$!
await 60 ip netns exec again-b sh -c "nft list ruleset | grep -q 'counter packets [2-9]'"
in_a nft flush chain ip6 filter in
kill -CONT $server
wait $client $server
stat -c %s /run/early | grep -qx 300
