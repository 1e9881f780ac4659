# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Datagrams that GRO puts into a list, for a socket that wants them one by one.
ip netns add list-a
ip netns add list-b
ip link add east address 02:00:00:0b:0f:01 netns list-a type veth peer name west address 02:00:00:0b:0f:02 netns list-b
ip -n list-a address add 10.11.15.1/24 dev east
ip -n list-b address add 10.11.15.2/24 dev west
ip netns exec list-a ethtool -K east tso off tx-udp-segmentation off
ip netns exec list-b ethtool -K west gro on rx-gro-list on
ip -n list-a link set east up
ip -n list-b link set west up
ip -n list-a neighbour add 10.11.15.2 lladdr 02:00:00:0b:0f:02 dev east
ip netns exec list-b packets sink -read -at 10.11.15.2:7033 >"$OUT.sink" &
sink=$!
await 60 grep -q ready "$OUT.sink"
ip netns exec list-a packets udp -to 10.11.15.2:7033 -size 5000 -segment 1000
received list-b 5
kill $sink
