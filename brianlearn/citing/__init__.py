"""Papers, and which object comes from which."""

from brianlearn.citing.references import Citable, Reference, cites
from brianlearn.named_arguments import name_arguments

__all__ = ["Citable", "Reference", "cites"]

name_arguments(globals())
