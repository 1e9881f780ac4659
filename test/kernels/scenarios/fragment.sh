# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# An echo and a datagram that are longer than the MTU of 1500 and may be cut.
ip netns add fragment-a
ip netns add fragment-b
ip link add east netns fragment-a type veth peer name west netns fragment-b
ip -n fragment-a address add 10.1.2.1/24 dev east
ip -n fragment-b address add 10.1.2.2/24 dev west
ip -n fragment-a link set east up
ip -n fragment-b link set west up

ip netns exec fragment-a ping -n -c 1 -W 10 -M dont -s 1800 10.1.2.2

ip netns exec fragment-b socat -u UDP-RECV:7000 CREATE:"/run/datagram" &
receiver=$!
await 60 ip netns exec fragment-b sh -c 'ss -lunH | grep -q :7000'
head -c 2000 /dev/zero | ip netns exec fragment-a socat -u -b 2000 - UDP:10.1.2.2:7000
await 60 sh -c 'stat -c %s /run/datagram | grep -qx 2000'
kill $receiver
