"""Building blocks of the models: encoders, augmentation, prototypes and losses.

Each loss is a pure function with the name that it has in its paper, in a file of its own. These terms are used
throughout:

seed spots
    The spots of a batch whose representation and losses are computed. They are the first rows of a batch.
nodes
    The seed spots and, after them, all spots within the number of hops that the encoder reads.
patch
    A compact group of neighbouring spots. Batches of large data consist of randomly drawn patches.
view
    The tissue after a random augmentation.
window
    A spot and the rings of spots around it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
