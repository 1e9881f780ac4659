# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A datagram to a port that nobody listens at.
ip netns add closed-a
ip netns add closed-b
ip link add east netns closed-a type veth peer name west netns closed-b
ip -n closed-a address add 10.1.4.1/24 dev east
ip -n closed-b address add 10.1.4.2/24 dev west
ip -n closed-a link set east up
ip -n closed-b link set west up

# socat ends with the error that the ICMP message brings.
if echo nobody | ip netns exec closed-a socat -t 10 - UDP:10.1.4.2:4444; then
	echo "no error came back" >&2
	exit 1
fi
