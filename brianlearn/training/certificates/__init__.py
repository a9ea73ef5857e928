"""Certificates of trust: what can be checked of a run, and what was found."""

from brianlearn.named_arguments import name_arguments
from brianlearn.training.certificates.certificate import Certificate, Check
from brianlearn.training.certificates.certifying import certify

__all__ = ["Certificate", "Check", "certify"]

name_arguments(globals())
