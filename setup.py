"""What pyproject.toml cannot say: the generated pages travel in the wheel as part of host_tools."""

from setuptools import find_namespace_packages, setup

PAGES = "host_tools.docs"

setup(
    packages=[*find_namespace_packages(include=["firmware*", "host_tools*", "provisioning*", "hw*"]), PAGES],
    package_dir={PAGES: "docs"},
    package_data={
        PAGES: ["wire-format.cddl", "wire-format.md"],
        "": ["*.toml", "*.csv", "*.json", "*.md", "py.typed"],
    },
)
