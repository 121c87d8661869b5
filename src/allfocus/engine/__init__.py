"""What runs a network on a tile: one contract, one file an engine, and the choice between them."""
