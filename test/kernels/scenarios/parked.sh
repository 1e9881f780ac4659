# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A packet that netem holds back for longer than journeys are waited for.
ip netns add parked-a
ip netns add parked-b
ip link add east netns parked-a type veth peer name west netns parked-b
ip -n parked-a address add 10.1.9.1/24 dev east
ip -n parked-b address add 10.1.9.2/24 dev west
ip -n parked-a link set east up
ip -n parked-b link set west up
ip -n parked-a neighbour add 10.1.9.2 lladdr "$(ip -n parked-b -br link show west | awk '{ print $3 }')" dev east
ip netns exec parked-a tc qdisc add dev east root netem delay 30s

if ip netns exec parked-a ping -n -c 1 -W 1 10.1.9.2; then
	echo "the answer was not held back" >&2
	exit 1
fi
