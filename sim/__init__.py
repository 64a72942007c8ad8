"""Does it match: builds circuits with Verilator and checks them with cocotb testbenches."""
