"""Publishing by a swap: what is asked of each warehouse, and in which words."""
