"""Papers, and which object comes from which."""

from brianlearn.citing.references import Citable, Reference, cites

__all__ = ["Citable", "Reference", "cites"]
