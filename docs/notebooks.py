"""For mkdocs: notebooks become pages. They are shown as they are stored, with their outputs; nothing runs."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

__all__ = ["on_files", "on_page_markdown"]


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Put a page of Markdown, and its pictures, beside every notebook, which can be downloaded from there.

    Parameters
    ----------
    files : mkdocs.structure.files.Files
    config : mkdocs.config.defaults.MkDocsConfig

    Returns
    -------
    mkdocs.structure.files.Files
    """
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        name = Path(file.src_uri)
        resources = {"unique_key": name.stem, "output_files_dir": f"{name.stem}_files"}
        text, made = MarkdownExporter().from_filename(str(file.abs_src_path), resources)
        heading, _, rest = text.lstrip().partition("\n")
        rest = rest.replace(".ipynb)", ".md)")  # links between notebooks
        page = f"{heading}\n\n[This page as a notebook]({name.name}){{ .md-button download }}\n{rest}"
        files.append(File.generated(config, name.with_suffix(".md").as_posix(), content=page))
        for picture, content in made["outputs"].items():
            files.append(File.generated(config, (name.parent / picture).as_posix(), content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to notebooks lead to their pages: in a clone, they lead to the notebooks.

    Parameters
    ----------
    markdown : str
    page : mkdocs.structure.pages.Page
    config : mkdocs.config.defaults.MkDocsConfig
    files : mkdocs.structure.files.Files

    Returns
    -------
    str
    """
    return markdown if page.file.generated_by else re.sub(r"\.ipynb\)", ".md)", markdown)
