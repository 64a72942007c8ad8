"""Testbench of the skeleton datapath."""
