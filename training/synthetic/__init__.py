"""People who do not exist, rendered on the CPU from CC0 assets: pictures with exact answers.

    python -m training.synthetic render --out DIR --identities 100
    python -m training.synthetic pack --makehuman DIR --assets DIR --textures DIR --out DIR

Units are decimetres, +y up; a person faces +z, and the person's own left is +x.
"""
