"""What is built: every datapath and the parts they share, described in Amaranth."""
