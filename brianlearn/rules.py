"""Old name of `brianlearn.learning`."""

from brianlearn.renamed import old_package

__getattr__ = old_package(__name__, "brianlearn.learning")
