# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Where packets wait, and how long at least: a queueing discipline, a socket, a reassembly.
ip netns add wait-a
ip netns add wait-b
ip link add east address 02:00:00:0b:0b:01 netns wait-a type veth peer name west address 02:00:00:0b:0b:02 netns wait-b
ip -n wait-a address add 10.11.11.1/24 dev east
ip -n wait-b address add 10.11.11.2/24 dev west
ip -n wait-a link set east up
ip -n wait-b link set west up
ip -n wait-a neighbour add 10.11.11.2 lladdr 02:00:00:0b:0b:02 dev east
ip netns exec wait-a tc qdisc add dev east root netem delay 20ms
ip netns exec wait-b packets sink -read -at 10.11.11.2:7019 >"$OUT.sink" &
sink=$!
await 60 grep -q ready "$OUT.sink"
ip netns exec wait-a packets udp -to 10.11.11.2:7019
received wait-b 1
kill $sink

# A socket that nobody reads for a second.
ip netns exec wait-b packets sink -read -at 10.11.11.2:7034 -ports 2 >"$OUT.late" &
late=$!
await 60 grep -q ready "$OUT.late"
kill -STOP $late
ip netns exec wait-a packets udp -to 10.11.11.2:7034
await 60 ip netns exec wait-b sh -c "ss -lunH | awk '\$2 > 0 { waits = 1 } END { exit !waits }'"
sleep 1
kill -CONT $late
received wait-b 2

# A fragment waits until the other has passed a slow link.
ip netns exec wait-a tc qdisc replace dev east root netem rate 10kbit
ip netns exec wait-a packets udp -to 10.11.11.2:7035 -size 2900
received wait-b 3
kill $late
