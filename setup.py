"""The packages of a wheel: those in brianlearn/, and the example networks of network_specs/ beside them.

All else is in pyproject.toml, which cannot name a package that is found in another folder.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["brianlearn*"]), "brianlearn.network_specs"],
    package_dir={"brianlearn.network_specs": "network_specs"},
)
