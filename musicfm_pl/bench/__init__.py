"""What our encoder costs beside the public way of building the same model: `musicfm bench`."""
