"""Programs that measure spotscape beside other methods.

Each folder is one question, run from the repository root, for example ``python -m benchmarks.accuracy --help``:

``accuracy``
    Domains against annotations, on one section or several together.
``alignment``
    Sections placed on each other, and labels transferred between them.
``calibration``
    Confidence in domains against annotations.
``cross_sample``
    AESTETIK across samples, with an image and without.
``imputation``
    Counts that were held out.
``integration``
    Biology kept against slices mixed.
``n_domains``
    The number of domains, chosen without annotations.
``new_sections``
    Trained models on sections that they have not seen.
``scaling``
    Seconds and memory by the number of cells.

``common`` is what they share, ``peers`` runs other packages, each in an environment of its own. Annotated files are
given by their path, or by their name in the folder that ``SPOTSCAPE_DATA`` names.
"""
