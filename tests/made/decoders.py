"""What tests ask of decoders and autoencoders."""

import math


def n_parameters(network):
    """Count the parameters of one seed."""
    return sum(math.prod(size) for size in network.sizes().values())
