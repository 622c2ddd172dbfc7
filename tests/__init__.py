"""The tests. A package, because torch-fidelity installs one of the same name beside it."""
