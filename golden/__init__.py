"""What is right: bit-exact models in NumPy, written from definitions and never from circuits."""
