"""The real thing to test on: Kubernetes, KEDA, Asterisk, Kamailio and callers as plain processes on one machine.

A rig is a real control plane (etcd, kube-apiserver, controller-manager, scheduler), KEDA's operator and metrics
adapter, Prometheus, and a node agent that runs pods as processes in namespaces and file systems of their own. Nothing
of it needs a container engine, and nothing of it outlives it. docs/rig.md says how to use it.
"""
