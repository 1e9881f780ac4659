# SPDX-License-Identifier: Apache-2.0
#
# Runs in the guest: real packets, skbpath, Jaeger and Prometheus. What they say
# goes to $OUT; whether it is right is for the tests to judge.

JAEGER=http://127.0.0.1:16686
PROMETHEUS=http://127.0.0.1:9090

# within SECONDS COMMAND…: tries until it succeeds.
within() {
	deadline=$(($(clock) / 1000000000 + $1))
	shift
	until "$@"; do
		if [ $(($(clock) / 1000000000)) -ge "$deadline" ]; then
			echo "not in time: $*"
			return 1
		fi
		usleep 200000
	done
}

# mark WHAT: notes how long that took, counted from the mark before.
mark() {
	now=$(clock)
	echo "$1: $(((now - since) / 1000000)) ms" | tee -a "$OUT/times"
	since=$now
}

get() { wget -q -T 10 -O - "$@" 2>/dev/null; }
answers() { get "$1" >/dev/null; }
listens() { nc -z 127.0.0.1 "$1" 2>/dev/null; }

# --- packets ---------------------------------------------------------------

# network makes two namespaces with a link. Neighbours know each other, so that
# no packet waits for ARP, and ping may use its own kind of socket: with a raw
# one, the kernel drops every reply after it has handed a clone to ping. Without
# link-local addresses nothing looks for routers, from timers, where a tracer misses most.
network() {
	echo 1 >/proc/sys/net/core/devconf_inherit_init_net
	echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
	ip netns add a
	ip netns add b
	ip link add va netns a address 02:00:00:00:00:01 type veth peer name vb netns b address 02:00:00:00:00:02
	ip netns exec a sh -c 'echo 0 0 >/proc/sys/net/ipv4/ping_group_range'
	join a 1 2
	join b 2 1
}

# join NAMESPACE OWN OTHER: the last bytes of the addresses.
join() {
	ip -n "$1" link set lo up
	ip -n "$1" address add "10.0.0.$2/24" dev "v$1"
	ip -n "$1" link set "v$1" up
	ip -n "$1" neighbour replace "10.0.0.$3" lladdr "02:00:00:00:00:0$3" dev "v$1" nud permanent
}

forbid_pings() {
	ip netns exec b nft -f - <<-'NFT'
		table ip filter {
			chain input {
				type filter hook input priority filter; policy accept;
				icmp type echo-request drop
			}
		}
	NFT
}

allow_pings() { ip netns exec b nft delete table ip filter; }

arriving() { ip netns exec a ping -q -c "$1" -i 0.2 -W 10 10.0.0.2; }

dropped() {
	if ip netns exec a ping -q -c "$1" -i 0.2 -W 1 10.0.0.2; then
		echo "a ping arrived that should not"
		return 1
	fi
}

# --- skbpath ---------------------------------------------------------------

# keep_metrics: of the skbpath that runs.
keep_metrics() { [ -z "$running" ] || get "http://127.0.0.1:$port/metrics" >"$OUT/$running/metrics.txt"; }

# start_skbpath NAME PORT PROTOCOL ENDPOINT
start_skbpath() {
	OTEL_SERVICE_NAME=$1 OTEL_EXPORTER_OTLP_PROTOCOL=$3 OTEL_EXPORTER_OTLP_ENDPOINT=$4 \
		skbpath --print=json --web.listen-address="127.0.0.1:$2" --ready-file="/tmp/$1.ready" \
		'icmp and net 10.0.0.0/24' >"$OUT/$1/journeys.jsonl" 2>"$OUT/$1/log" &
	skbpath=$!
	running=$1
	port=$2
	within 90 test -e "/tmp/$1.ready"
}

retries() { grep -q 'OTLP endpoint does not answer' "$OUT/$1/log"; }

stop_skbpath() {
	code=0
	keep_metrics
	running=
	kill -TERM "$skbpath"
	wait "$skbpath" || code=$?
	echo $code >"$OUT/$1/exit"
}

# --- Jaeger ----------------------------------------------------------------

start_jaeger() {
	jaeger --config file:/etc/jaeger.yaml >"$OUT/$1/jaeger.log" 2>&1 &
	jaeger=$!
	within 60 answers "$JAEGER/api/services"
	within 60 listens 4317
	within 60 listens 4318
}

# stop_jaeger kills it: it would take ten seconds to end by itself.
stop_jaeger() {
	kill -KILL "$jaeger"
	wait "$jaeger" || true
}

# has_traces SERVICE REQUESTS: of so many echo requests, and of all that skbpath
# has printed by then. Keeps what Jaeger says.
has_traces() {
	[ "$(grep -c '"source":{"address":"10.0.0.1"' "$OUT/$1/journeys.jsonl")" = "$2" ] || return 1
	get "$JAEGER/api/traces?service=$1&limit=100" >"$OUT/$1/traces.json" || return 1
	[ "$(grep -o '"skbpath.journey.id"' "$OUT/$1/traces.json" | wc -l)" = "$(wc -l <"$OUT/$1/journeys.jsonl")" ]
}

# --- Prometheus ------------------------------------------------------------

start_prometheus() {
	prometheus --config.file=/etc/prometheus.yml --storage.tsdb.path=/tmp/prometheus --enable-feature=exemplar-storage,created-timestamp-zero-ingestion \
		--web.listen-address=127.0.0.1:9090 >"$OUT/prometheus.log" 2>&1 &
	within 60 answers "$PROMETHEUS/-/ready"
}

# query EXPRESSION: no + % & ; in it, which mean something in a form.
query() { get --post-data "query=$1" "$PROMETHEUS/api/v1/query"; }

# is EXPRESSION VALUE: the time of it goes to $at.
is() {
	at=$(query "$1" | grep -o "[0-9.]*,\"$2\"\]}\]")
	at=${at%%,*}
	[ -n "$at" ]
}

# has_exemplars JOB: of the drops. Keeps what Prometheus says.
has_exemplars() {
	now=$(date +%s)
	get --post-data "query={job=\"$1\"}&start=$((now - 600))&end=$((now + 60))" \
		"$PROMETHEUS/api/v1/query_exemplars" >"$OUT/$1/exemplars.json" || return 1
	grep -q '"reason":"NETFILTER_DROP"' "$OUT/$1/exemplars.json"
}

# ask JOB TIME: names and expressions, one a line. At TIME, and about a second
# before, there were 3 drops.
ask() {
	drops="skbpath_dropped_packets_total{job=\"$1\",reason=\"NETFILTER_DROP\"}"
	now=$(date +%s)
	window=$((now - ${2%.*} + 1))s
	mkdir "$OUT/$1/queries"
	while read -r name expression; do
		query "$expression" >"$OUT/$1/queries/$name.json"
	done <<-PROMQL
		up up{job="$1"}
		drops sum by (reason, subsystem, function, protocol, interface) ($drops)
		drops_since sum($drops) - sum($drops @ $2)
		drops_increase sum(increase(${drops}[$window] @ $now))
		drops_least max(min_over_time(${drops}[10m]))
		drops_rate sum(rate(${drops}[$window] @ $now))
		journeys skbpath_journeys_total{job="$1"}
		calls skbpath_function_calls_total{job="$1",function="icmp_rcv"}
		buckets count(skbpath_function_duration_seconds_bucket{job="$1",function="icmp_rcv"})
		largest skbpath_function_duration_seconds_bucket{job="$1",function="icmp_rcv",le=~".Inf"}
		quantile histogram_quantile(0.9, sum by (le) (skbpath_function_duration_seconds_bucket{job="$1",function="icmp_rcv"}))
		wait skbpath_wait_duration_seconds_count{job="$1",from="enqueue_to_backlog"}
		lost skbpath_lost_total{job="$1"} > 0
		attached skbpath_probes{job="$1",state="attached"}
		build skbpath_build_info{job="$1"}
		scrape scrape_duration_seconds{job="$1"}
	PROMQL
}

# show JOB: every expression of the dashboards and rules.
show() {
	mkdir "$OUT/$1/shown"
	while read -r number form; do
		get --post-data "query=$form" "$PROMETHEUS/api/v1/query" >"$OUT/$1/shown/$number.json"
	done </etc/expressions
}

# --- what happens ----------------------------------------------------------

# run NAME PORT PROTOCOL ENDPOINT: NAME is that of the service and of the job.
run() {
	mkdir "$OUT/$1"
	start_skbpath "$@"
	mark "$1: skbpath is attached"
	arriving 1
	within 60 retries "$1"
	mark "$1: a trace waits for Jaeger"
	start_jaeger "$1"
	mark "$1: Jaeger is ready"
	within 60 has_traces "$1" 1
	mark "$1: the trace has arrived"

	arriving 3
	forbid_pings
	dropped 3
	within 60 is "sum(skbpath_dropped_packets_total{job=\"$1\",reason=\"NETFILTER_DROP\"})" 3
	three=$at
	mark "$1: Prometheus has three drops"
	dropped 5
	within 60 is "sum(skbpath_journeys_total{job=\"$1\",outcome=\"dropped\"})" 8
	mark "$1: Prometheus has eight drops"
	within 60 has_traces "$1" 12
	mark "$1: Jaeger has all traces"

	within 20 has_exemplars "$1"
	mark "$1: Prometheus has exemplars"

	ask "$1" "$three"
	show "$1"
	mark "$1: Prometheus has answered"
	stop_skbpath "$1"
	mark "$1: skbpath is stopped"
	stop_jaeger
	allow_pings
}

since=$(clock)
running=
trap keep_metrics EXIT # where a step fails, they tell whether chance hid a packet
network
start_prometheus
mark 'Prometheus is ready'
run grpc 10199 grpc http://127.0.0.1:4317
run http 10198 http/protobuf http://127.0.0.1:4318
free -m
