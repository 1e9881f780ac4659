# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# IPv6: an echo and a datagram that become three fragments each. The echo is cut
# along the parts in which ping's data came to the kernel; the datagram, whose
# MTU shrinks before it is sent, has to be copied.
ip netns add frag-a
ip netns add frag-b
ip link add east address 02:00:00:0b:01:01 netns frag-a type veth peer name west address 02:00:00:0b:01:02 netns frag-b
ip -n frag-a address add fd00:11:1::1/64 dev east nodad
ip -n frag-b address add fd00:11:1::2/64 dev west nodad
ip -n frag-a link set east up
ip -n frag-b link set west up
ip -n frag-a neighbour add fd00:11:1::2 lladdr 02:00:00:0b:01:02 dev east
ip -n frag-b neighbour add fd00:11:1::1 lladdr 02:00:00:0b:01:01 dev west
ip netns exec frag-b packets sink -read -at '[fd00:11:1::2]:7011' >"$OUT.sink" &
sink=$!
await 60 grep -q ready "$OUT.sink"

ip netns exec frag-a ping -6 -n -c 1 -W 10 -s 3000 fd00:11:1::2
ip netns exec frag-a packets udp -to '[fd00:11:1::2]:7011' -size 3000 -narrow 1280
await 60 ip netns exec frag-b awk '/^Udp6InDatagrams/ { exit $2 != 1 }' /proc/net/snmp6
kill $sink
