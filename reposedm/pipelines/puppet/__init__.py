"""The cut-out puppet behind the preview engine: a photo's person in layers that follow bones."""
