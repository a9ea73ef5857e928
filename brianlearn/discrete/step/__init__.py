"""One time step of a neuron: its statements as a program, their derivative, and the kernels that run them."""
