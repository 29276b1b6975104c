//! A real Prometheus with our alerts over a daemon that is scanned, in network namespaces. Needs root.
