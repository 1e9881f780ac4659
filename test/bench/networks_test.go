// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

// bridged is two namespaces on a bridge in a third, with the addresses of network.
const bridged = `
for n in bridge-a bridge-r bridge-b; do
	ip netns add $n
	ip netns exec $n sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'
done
ip -n bridge-r link add br0 type bridge mcast_snooping 0
ip link add va netns bridge-a address 02:00:00:00:01:0a type veth peer name pa netns bridge-r
ip link add vb netns bridge-b address 02:00:00:00:01:0b type veth peer name pb netns bridge-r
ip -n bridge-r link set pa master br0
ip -n bridge-r link set pb master br0
ip -n bridge-a addr add 10.9.0.1/24 dev va
ip -n bridge-b addr add 10.9.0.2/24 dev vb
ip -n bridge-a link set va up
ip -n bridge-b link set vb up
ip -n bridge-r link set pa up
ip -n bridge-r link set pb up
ip -n bridge-r link set br0 up
ip -n bridge-a neigh replace 10.9.0.2 lladdr 02:00:00:00:01:0b dev va nud permanent
ip -n bridge-b neigh replace 10.9.0.1 lladdr 02:00:00:00:01:0a dev vb nud permanent
sleep 1
`

// routed is two namespaces with a router between them, which puts its own
// address in the place of the sender's.
const routed = `
for n in nat-a nat-r nat-b; do
	ip netns add $n
	ip netns exec $n sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'
done
ip link add va netns nat-a address 02:00:00:00:02:0a type veth peer name ra netns nat-r address 02:00:00:00:02:1a
ip link add vb netns nat-b address 02:00:00:00:02:0b type veth peer name rb netns nat-r address 02:00:00:00:02:1b
ip -n nat-a addr add 10.8.0.1/24 dev va
ip -n nat-r addr add 10.8.0.254/24 dev ra
ip -n nat-r addr add 10.9.0.254/24 dev rb
ip -n nat-b addr add 10.9.0.2/24 dev vb
ip -n nat-a link set va up
ip -n nat-r link set ra up
ip -n nat-r link set rb up
ip -n nat-b link set vb up
ip -n nat-a route add default via 10.8.0.254
ip -n nat-a neigh replace 10.8.0.254 lladdr 02:00:00:00:02:1a dev va nud permanent
ip -n nat-r neigh replace 10.8.0.1 lladdr 02:00:00:00:02:0a dev ra nud permanent
ip -n nat-r neigh replace 10.9.0.2 lladdr 02:00:00:00:02:0b dev rb nud permanent
ip -n nat-b neigh replace 10.9.0.254 lladdr 02:00:00:00:02:1b dev vb nud permanent
ip netns exec nat-r sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip netns exec nat-r nft -f - <<'RULES'
table ip nat {
	chain post {
		type nat hook postrouting priority srcnat
		oifname rb counter masquerade
	}
}
RULES
sleep 1
`

// crossed fails unless the loads took these ways: the bridge's second port and
// the rule that masquerades have counted.
const crossed = `
ip -n bridge-r -s link show pb | awk '/TX:/ { getline; print "crossed bridge", $2 }'
ip netns exec nat-r nft list ruleset | awk '/masquerade/ { print "crossed nat", $5 }'
`
