"""Testbenches and workloads of the EN-T datapath."""
