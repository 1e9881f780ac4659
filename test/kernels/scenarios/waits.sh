# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Where packets wait: a queueing discipline, and a socket that nobody reads yet.
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
