"""What trains: the shape of a network, its data, its state, and the one loop over them."""
