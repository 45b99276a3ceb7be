"""What stands in the cluster: the Kubernetes watches, and the simulated fleet behind the same protocol."""
