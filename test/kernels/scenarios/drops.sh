# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The ways in which the network layer and the protocols above it drop packets,
# each three times unless said else, each to a port of its own.
sh -eu /scenario/drops-net.sh
in_a() { ip netns exec drops-a "$@"; }
in_r() { ip netns exec drops-r "$@"; }
in_b() { ip netns exec drops-b "$@"; }
udp() { in_a packets udp -count 3 "$@"; }
frame() { in_a packets frame -device d-east -to-mac 02:00:00:04:01:fe -count 3 "$@"; }

# Nobody listens.
udp -to 10.4.2.2:6001
udp -to '[fd00:4:2::2]:6001'
frame -kind tcp -from 10.4.1.1:999 -to 10.4.2.2:6002
frame -kind tcp -from '[fd00:4:1::1]:999' -to '[fd00:4:2::2]:6002'
frame -kind unknown -from 10.4.1.72:0 -to 10.4.1.254:0
frame -kind unknown -from '[fd00:4:1::72]:0' -to '[fd00:4:1::fe]:0'

# A socket that nobody reads: each datagram of 1000 bytes counts for more than 1000.
in_b packets sink -at 10.4.2.2:6003 -buffer 4608 >"$OUT.sink" &
await 60 grep -q ready "$OUT.sink"
in_a packets udp -to 10.4.2.2:6003 -count 20 -size 1000

# filtered NAMESPACE PATTERN COMMAND…: returns once a line that a command prints is like this.
filtered() {
	namespace=$1 pattern=$2
	shift 2
	await 60 ip netns exec "drops-$namespace" sh -c "$* | grep -q '$pattern'"
}

# Packet filters.
in_r nft add table ip filter
in_r nft add chain ip filter forward '{ type filter hook forward priority filter; }'
in_r nft add rule ip filter forward udp dport 6004 counter drop
in_b nft add table ip filter
in_b nft add chain ip filter in '{ type filter hook input priority filter; }'
in_b nft add rule ip filter in udp dport 6005 counter reject
udp -to 10.4.2.2:6004
udp -to 10.4.2.2:6005
filtered r 'counter packets 3 ' nft list ruleset
filtered b 'counter packets 3 ' nft list ruleset
in_r iptables-legacy -A FORWARD -p udp --dport 6006 -j DROP
udp -to 10.4.2.2:6006
filtered r ' 3 .*DROP' iptables-legacy -nvL FORWARD
in_r iptables-nft -t mangle -A POSTROUTING -p udp --dport 6021 -j DROP
udp -to 10.4.2.2:6021
filtered r ' 3 .*DROP' iptables-nft -t mangle -nvL POSTROUTING
in_r nft add table ip6 filter
in_r nft add chain ip6 filter forward '{ type filter hook forward priority filter; }'
in_r nft add rule ip6 filter forward tcp dport 6022 counter drop
in_b nft add table ip6 filter
in_b nft add chain ip6 filter in '{ type filter hook input priority filter; }'
in_b nft add rule ip6 filter in tcp dport 6023 counter reject
frame -kind tcp -from '[fd00:4:1::1]:999' -to '[fd00:4:2::2]:6022'
frame -kind tcp -from '[fd00:4:1::1]:999' -to '[fd00:4:2::2]:6023'
filtered r 'counter packets 3 ' nft list table ip6 filter
filtered b 'counter packets 3 ' nft list table ip6 filter

# Routing: no route, a route that says no, the wrong way for this source, a source
# that cannot be.
# The first gets the error in its error queue; ip_error sends five to a host at once.
in_r sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_ratemask'
if in_a ping -n -c 1 -W 10 10.99.0.1; then exit 1; fi
udp -to 10.99.0.1:6007
in_r ip route add unreachable 10.98.0.0/16
udp -to 10.98.0.1:6008
udp -to '[fd00:99::1]:6007'
in_r ip -6 route add unreachable fd00:98::/32
frame -kind tcp -from '[fd00:4:1::1]:999' -to '[fd00:98::1]:6008'
in_r sh -c 'echo 1 >/proc/sys/net/ipv4/conf/d-left/rp_filter'
frame -from 10.4.2.77:999 -to 10.4.2.2:6009
frame -from 127.0.0.1:999 -to 10.4.2.2:6010
frame -kind tcp -from 10.4.1.254:999 -to 10.4.2.2:6011
in_r sh -c 'echo 0 >/proc/sys/net/ipv4/conf/d-left/rp_filter'

# Too far, too big.
udp -to 10.4.2.2:6012 -ttl 1
udp -to '[fd00:4:2::2]:6012' -ttl 1
in_r ip link set d-right mtu 1300
udp -to 10.4.2.2:6013 -size 1400 -whole
udp -to '[fd00:4:2::2]:6013' -size 1400 -whole
in_r ip link set d-right mtu 1500

# Nobody answers to ARP, nor to neighbour discovery.
in_r sh -c 'for ip in ipv4 ipv6; do cd /proc/sys/net/$ip/neigh/d-right; echo 1 >mcast_solicit; echo 100 >retrans_time_ms; done'
udp -to 10.4.2.99:6014
udp -to '[fd00:4:2::99]:6014'
for address in 10.4.2.99 fd00:4:2::99; do
	await 60 ip netns exec drops-r sh -c "ip neigh show $address | grep -q FAILED"
done

# Checksums.
frame -bad ip -from 10.4.1.1:999 -to 10.4.1.254:6015
frame -bad transport -from 10.4.1.1:999 -to 10.4.1.254:6016
frame -bad transport -kind tcp -from 10.4.1.1:999 -to 10.4.1.254:6017
frame -bad transport -kind icmp -from 10.4.1.77:0 -to 10.4.1.254:0
frame -bad transport -from '[fd00:4:1::1]:999' -to '[fd00:4:1::fe]:6016'
frame -bad transport -kind tcp -from '[fd00:4:1::1]:999' -to '[fd00:4:1::fe]:6017'
frame -bad transport -kind icmp -from '[fd00:4:1::77]:0' -to '[fd00:4:1::fe]:0'

# An option that is unknown and says that a packet with it is to be discarded.
frame -kind option -from '[fd00:4:1::71]:0' -to '[fd00:4:1::fe]:0'

# A segment beyond the window.
in_b socat -u TCP-LISTEN:6018 OPEN:/dev/null &
server=$!
await 60 ip netns exec drops-b sh -c 'ss -ltnH | grep -q :6018'
in_a packets beyond -to 10.4.2.2:6018 -device d-east -to-mac 02:00:00:04:01:fe -count 3
wait $server

# Traffic control, on the way in and on the way out.
in_r tc qdisc add dev d-left clsact
in_r tc filter add dev d-left ingress protocol ip flower ip_proto udp dst_port 6019 action drop
in_r tc qdisc add dev d-right clsact
in_r tc filter add dev d-right egress protocol ip flower ip_proto udp dst_port 6020 action drop
udp -to 10.4.2.2:6019
udp -to 10.4.2.2:6020

# Of the socket that nobody reads: all that was sent to it has long been there.
in_b sh -c "awk '/^Udp:/ && \$6 ~ /[0-9]/ { print \$6 }' /proc/net/snmp" >"$OUT.rcvbuf"
