"""Training of the networks that look at garments: the parser, and the landmarks of products."""
