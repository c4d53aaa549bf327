//! etcd and kube-apiserver for tests: real ones, on loopback, thrown away afterwards.
