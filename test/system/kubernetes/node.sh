#!/bin/sh
# node.sh WORK ADDRESS PROGRAMS: the first process of a Kubernetes node that has its network, mounts and processes for itself (unshare): when
# it ends, all of them end. It is given WORK (keys and configurations, made by node.ts), its own address, and the folder of the programs.
set -eu
work=$1 address=$2 programs=$3
keys=$work/keys

mount -t tmpfs tmpfs /run
ip link set lo up
until ip link show node >/dev/null 2>&1; do sleep 0.05; done # node.ts plugs the cable in
ip address add "$address/30" dev node
ip link set node up
echo 1 >/proc/sys/net/ipv4/ip_forward

"$programs/etcd" --name node --data-dir "$work/etcd" --unsafe-no-fsync --log-level warn \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
  --initial-cluster node=http://127.0.0.1:2380 >"$work/etcd.log" 2>&1 &

# The API server starts again when it was killed, as soon as nothing holds it.
(
  while :; do
    while [ -e "$work/hold" ]; do sleep 0.05; done
    "$programs/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --bind-address="$address" \
      --advertise-address="$address" --endpoint-reconciler-type=none --service-cluster-ip-range=10.96.0.0/16 \
      --authorization-mode=Node,RBAC --allow-privileged=true --client-ca-file="$keys/ca.pem" \
      --tls-cert-file="$keys/server.pem" --tls-private-key-file="$keys/server.key" \
      --kubelet-client-certificate="$keys/api.pem" --kubelet-client-key="$keys/api.key" --kubelet-certificate-authority="$keys/ca.pem" \
      --kubelet-preferred-address-types=InternalIP \
      --service-account-issuer=https://kubernetes.default.svc.cluster.local \
      --service-account-key-file="$keys/tokens.pub" --service-account-signing-key-file="$keys/tokens.key" \
      --enable-aggregator-routing=true --requestheader-client-ca-file="$keys/front-ca.pem" --requestheader-allowed-names=front \
      --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
      --proxy-client-cert-file="$keys/front.pem" --proxy-client-key-file="$keys/front.key" \
      --profiling=false >>"$work/kube-apiserver.log" 2>&1 || sleep 0.2
  done
) &

containerd --config "$work/containerd.toml" --log-level warn >"$work/containerd.log" 2>&1 &
until [ -e "$work/images-are-in" ]; do sleep 0.05; done # node.ts brings them
"$programs/kubelet" --config="$work/kubelet.yaml" --kubeconfig="$work/kubelet.kubeconfig" --hostname-override=node \
  --node-ip="$address" --root-dir="$work/kubelet" --cert-dir="$work/kubelet/pki" >"$work/kubelet.log" 2>&1 &
wait
