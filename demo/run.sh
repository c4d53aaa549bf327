#!/usr/bin/env bash
# The main job on one machine: CNI calls by macvlan, addresses by spiderpool, decisions by policies.
# usage: demo/run.sh DIST    DIST: a folder made by `cargo xtask dist`
# Everything happens in network namespaces and a temporary folder of its own, which are gone afterwards.
set -euo pipefail

dist=$(cd "${1:?usage: demo/run.sh DIST}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
cni_plugins=${CNI_PLUGINS:-/usr/lib/cni}
id=spd$$
work=$(mktemp -d "${TMPDIR:-/tmp}/spiderpool-demo.XXXXXX")
socket=$work/agent.sock
export PATH=$dist/bin:$PATH SPIDERPOOL_SOCKET=$socket

[ "$(id -u)" = 0 ] || { echo "The demo makes network namespaces: run it as root, for instance: sudo make demo" >&2; exit 1; }
[ -x "$cni_plugins/macvlan" ] || { echo "$cni_plugins/macvlan is missing: apt-get install containernetworking-plugins" >&2; exit 1; }

agent=
finish() {
    status=$?
    trap - EXIT INT TERM
    [ -z "$agent" ] || { kill "$agent" 2>/dev/null && wait "$agent" 2>/dev/null; } || true
    for ns in $(ip netns list | awk -v id="$id-" 'index($1, id) == 1 {print $1}'); do ip netns del "$ns" || true; done
    if [ "$status" -ne 0 ] && [ -f "$work/agent.log" ]; then
        echo; echo "The demo failed. The agent's last words:" >&2; tail -n 15 "$work/agent.log" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

bold=; plain=
[ -t 1 ] && bold=$'\e[1m' plain=$'\e[0m'
step() { echo; echo "${bold}== $*${plain}"; }
in_node() { ip netns exec "$id-node" "$@"; }
in_pod() { local pod=$1; shift; ip netns exec "$id-$pod" "$@"; }

# The kubelet's part: a network namespace for the pod, then the CNI plugin of the network, which is macvlan.
network() {
    jq -nc --arg socket "$socket" --arg log "$work/cni.log" '{cniVersion: "1.0.0", name: "underlay", type: "macvlan",
        master: "uplink", mode: "bridge", ipam: {type: "spiderpool", ipam_unix_socket_path: $socket, log_file_path: $log}}'
}
cni() {
    local verb=$1 namespace=$2 pod=$3 uid
    uid=$(awk -v pod="name: $pod" '$0 ~ "^---" {uid = 0; mine = 0} index($0, pod) {mine = 1} match($0, /uid: [0-9a-f-]+/) {uid = substr($0, RSTART + 5, RLENGTH - 5)} mine && uid {print uid; exit}' "$work/manifests/pods.yaml")
    network | in_node env CNI_COMMAND="$verb" CNI_CONTAINERID="sandbox-$pod" CNI_NETNS="/var/run/netns/$id-$pod" CNI_IFNAME=eth0 \
        CNI_PATH="$dist/bin:$cni_plugins" CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=$namespace;K8S_POD_NAME=$pod;K8S_POD_UID=$uid" \
        "$cni_plugins/macvlan"
}
add() {
    local namespace=$1 pod=$2 answer
    ip netns add "$id-$pod"
    if answer=$(cni ADD "$namespace" "$pod"); then
        echo "  $namespace/$pod  →  $(jq -r '[.ips[].address] | join("  ")' <<<"$answer")"
    else
        echo "  $namespace/$pod  →  refused: $(jq -r '.msg + (if (.details // "") == "" then "" else "\n      " + .details end)' <<<"$answer")"
        return 1
    fi
}
del() { cni DEL "$1" "$2" >/dev/null; ip netns del "$id-$2"; }

step "1. A node with an uplink, a gateway behind it, and an agent with a folder of manifests"
ip netns add "$id-node"; ip netns add "$id-gateway"
in_node ip link set lo up
ip -n "$id-node" link add uplink type veth peer name gw netns "$id-gateway"
ip -n "$id-node" link set uplink up; ip -n "$id-gateway" link set gw up
ip -n "$id-gateway" addr add 10.60.0.1/24 dev gw; ip -n "$id-gateway" addr add fd60::1/64 dev gw nodad
cp -r "$here/manifests" "$work/manifests"; mkdir "$work/manifests/policies"
# Not by in_node: a function in the background is a shell, and killing that shell would leave the agent behind.
ip netns exec "$id-node" spiderpool-agent standalone --manifests "$work/manifests" --data "$work/data" --socket "$socket" \
    --config-path "$here/conf.yml" --node-name demo-node --log-format text >"$work/agent.log" 2>&1 &
agent=$!
for _ in $(seq 100); do [ -S "$socket" ] && break; kill -0 "$agent" 2>/dev/null || exit 1; sleep 0.1; done
spiderpoolctl pool list

step "2. Pods get addresses: by the cluster's default pools, by their namespace, by their annotation"
add shop web-0; add shop web-1
add billing invoice-0
add shop cache-0

step "3. They reach each other and the gateway"
web1=$(in_pod web-1 ip -j -4 addr show eth0 | jq -r '.[0].addr_info[0].local')
reach() { echo "  $1 → $2: $(in_pod "$1" ping -c1 -W2 -q "$2" | grep received)"; }
reach web-0 "$web1"
reach cache-0 10.60.0.1
reach web-0 fd60::1

step "4. Who holds what"
spiderpoolctl ip list

step "5. A pod asks for pools that are not for it: refused, and explained"
if add shop intruder; then echo "  the intruder got an address" >&2; exit 1; fi
spiderpoolctl explain shop/intruder || true

step "6. Somebody on the network uses an address that the pool has free: seen, avoided"
# default-v4 begins at .10; .10 and .11 are reserved, .12 and .13 held: the next one is .14.
next=10.60.0.14
ip -n "$id-gateway" addr add "$next/24" dev gw
if add shop web-2; then echo "  the conflict was not seen" >&2; exit 1; fi
ip netns del "$id-web-2"
echo "  The kubelet tries again:"
add shop web-2
ip -n "$id-gateway" addr del "$next/24" dev gw

step "7. A policy of one's own: pods prefer pools of their node's rack (this node: rack b)"
add shop batch-0
cp "$dist/policies-examples/rack-and-octet.wasm" "$work/manifests/policies/"
cp "$here/policies/rack.yaml" "$work/manifests/policies/"
for _ in $(seq 100); do spiderpoolctl policy list 2>/dev/null | grep -q "rack.*Ready" && break; sleep 0.1; done
echo "  dropped rack-and-octet.wasm into the folder; now:"
spiderpoolctl policy list
add shop batch-1

step "8. Pods go, and nothing is left"
for pod in web-0 web-1 web-2 cache-0 batch-0 batch-1; do del shop "$pod"; done
del billing invoice-0
spiderpoolctl pool list
left=$(spiderpoolctl ip list -o json | jq length)
[ "$left" = 0 ] || { echo "  $left addresses are still held" >&2; exit 1; }
echo; echo "All addresses are back."
