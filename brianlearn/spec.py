"""Old name of `brianlearn.network`."""

from brianlearn.renamed import old_package

__getattr__ = old_package(__name__, "brianlearn.network")
