"""The output folder of `paycli gen`: what has to be compiled, what comes of it, and writing it."""
