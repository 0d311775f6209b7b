"""The control plane: the one serial door, what follows from its decisions, and the ticker."""
