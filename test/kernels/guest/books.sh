# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Known numbers of packets on their way, and beside them what the kernel itself
# counts: in the end the books must balance.
# shellcheck source=/dev/null
. /guest/instances.sh
sh -eu /scenario/books-net.sh
in_a() { ip netns exec books-a "$@"; }
in_b() { ip netns exec books-b "$@"; }

echo 67108864 >/proc/sys/net/core/rmem_max
# Room for all that three readers are sent, however late they get the CPU.
in_b packets sink -read -buffer 4194304 -at 10.6.2.2:7001 >/run/sink1 &
in_b packets sink -read -buffer 4194304 -at 10.6.2.2:7010 >/run/sink2 &
in_b packets sink -read -buffer 4194304 -at 10.6.3.2:7020 >/run/sink3 &
in_b packets sink -read -ports 4 -at 10.6.2.2:7040 >/run/sink4 &
in_b packets sink -read -buffer 4194304 -at '[fd00:6:2::2]:7071' >/run/sink6 &
ip netns exec books-b packets sink -read -buffer 67108864 -at 10.6.2.2:7060 >/run/sink5 &
crowd=$!
in_b socat -u TCP-LISTEN:7030 CREATE:/run/received &
server=$!
in_b socat -u TCP-LISTEN:7050 CREATE:/run/merged &
merging=$!
head -c 1048576 /dev/urandom >/run/sent
await 60 sh -c 'cat /run/sink? | grep -c ready | grep -qx 6'
await 60 ip netns exec books-b sh -c 'ss -ltnH | grep -c ":70[35]0" | grep -qx 2'
# Past the bridge, software cuts what TCP sends into segments, and GRO merges them.
in_a ethtool -K k-near tso off
ip netns exec books-br ethtool -K k-port2 tso off # while on, veth sees no need for GRO
in_b ethtool -K k-far gro on

# What is sent where there is nothing goes through a queue that is soon full. A timer
# lets it out so slowly that it does when nothing else is sent: while programs run, it would
# be hidden.
in_a tc qdisc add dev k-out root tbf rate 20kbit burst 5000 limit 5000

# On a slow machine packets wait in a socket for longer than they may by default.
start books --journey.timeout=10m "--probe.functions=$FUNCTIONS" "(net 10.6.0.0/16 and not arp) or net fd00:6::/32"
ready books

in_a packets udp -to 10.6.2.2:7001 -ports 3 -count 300
in_a ping -q -n -c 50 -i 0.01 10.6.2.2
in_a packets udp -to 10.6.2.2:7010 -count 50 -size 4000
in_a packets udp -to 10.6.3.2:7020 -count 200
in_a packets udp -to 10.6.4.2:7080 -count 200 -size 1000
await 60 sh -c "ip netns exec books-a tc -s qdisc show dev k-out | grep -q 'backlog 0b 0p'"
in_a packets udp -to '[fd00:6:2::2]:7071' -ports 3 -count 300
in_a ping -6 -q -n -c 50 -i 0.01 fd00:6:2::2
in_a socat -u OPEN:/run/sent TCP:10.6.2.2:7030
wait $server
in_a socat -u OPEN:/run/sent TCP:10.6.3.2:7050
wait $merging
cmp /run/sent /run/received
cmp /run/sent /run/merged
drained books-b

# The kernel's own counts.
for name in a r b; do
	ip netns exec books-$name cat /proc/net/snmp >"$OUT/$name.snmp"
	ip netns exec books-$name cat /proc/net/snmp6 >"$OUT/$name.snmp6"
done
for name in a r b br; do
	# shellcheck disable=SC2016 # expanded there
	ip netns exec books-$name sh -c 'cd /sys/class/net; for device in k-*; do
		echo "$device $(cat $device/statistics/tx_packets) $(cat $device/statistics/rx_packets)"
	done'
done >"$OUT/devices"
for family in ip ip6; do
	ip netns exec books-r nft list table $family filter | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p' >"$OUT/nft-$family"
done
in_a tc -s qdisc show dev k-out >"$OUT/qdisc"

# What a CPU left to another to free, that one frees when packets come in there.
for cpus in 1 2; do
	taskset $cpus ping -q -n -c 2 -W 10 127.0.0.1 >/dev/null
done

# A reply that ping gets is the last of three journeys to end.
in_a ping -n -c 1 -W 10 10.6.1.254
await 60 sh -c "grep -c '\"address\":\"10.6.1.254\"' '$OUT/books.json' | grep -qx 3" || : # the check tells
metrics books >"$OUT/metrics"

# The user half stands still until the ring buffer is full, and long after.
kill -STOP "$(cat /run/books.pid)"
begin=$(clock)
in_a packets udp -to 10.6.2.2:7040 -ports 4 -count "$FLOOD"
echo "flood sent in $((($(clock) - begin) / 1000000)) ms"
kill -CONT "$(cat /run/books.pid)"
# counted: of the metrics on its input, the packets that are in them as journeys or as lost.
counted() {
	awk '/^skbpath_journeys_total/ || /^skbpath_lost_total.*what="journey"/ && /table_full/ { n += $2 } END { print n }'
}
# balanced FILE PACKETS: writes the metrics once so many more than in FILE are counted.
balanced() {
	before=$(counted <"$1")
	tries=0
	until [ "$(metrics books | counted)" -ge $((before + $2)) ] || [ $tries = 100 ]; do
		tries=$((tries + 1))
		sleep 0.2
	done
	metrics books
}
balanced "$OUT/metrics" "$FLOOD" >"$OUT/metrics-flood"

# More packets wait in a socket than there is room for journeys.
kill -STOP $crowd
begin=$(clock)
in_a packets udp -to 10.6.2.2:7060 -count "$FLOOD"
echo "crowd sent in $((($(clock) - begin) / 1000000)) ms"
kill -CONT $crowd
drained books-b
balanced "$OUT/metrics-flood" "$FLOOD" >/dev/null
# Counted is not printed yet.
before=
same=0
for _ in $(seq 120); do
	now="$(wc -c <"$OUT/books.json") $(metrics books | grep print_queue_full)"
	if [ "$now" = "$before" ]; then same=$((same + 1)); else same=0; fi
	[ $same -lt 2 ] || break
	before=$now
	sleep 2
done
metrics books >"$OUT/metrics-crowd"
begin=$(clock)
stop books
echo "stopped in $((($(clock) - begin) / 1000000)) ms"
