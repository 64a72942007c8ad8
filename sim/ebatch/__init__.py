"""Workloads, runtime and testbenches of the E-BATCH datapath."""
