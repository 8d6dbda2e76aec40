"""A Sphinx extension: buttons to the repository that this clone came from.

They appear if git's ``origin`` is at one of `HOSTS`; the address is written nowhere else.
"""

import json
import re
import subprocess
from pathlib import Path

HOSTS = "github.com", "gitlab.com", "bitbucket.org"


def address(remote: str) -> str:
    """The web address of a git remote at one of `HOSTS`, else nothing.

    >>> address("ssh://git@gitlab.com:22/group/part/san-book.git")
    'https://gitlab.com/group/part/san-book'
    >>> address("git@github.com:someone/san-book.git")
    'https://github.com/someone/san-book'
    >>> address("https://user:secret@gitlab.com/group/san-book")
    'https://gitlab.com/group/san-book'
    >>> address("/home/someone/github.com/a/san-book")
    ''
    """
    hosts = "|".join(map(re.escape, HOSTS))
    # https://host/path, ssh://user@host:port/path or user@host:path
    start, port = r"(?:\w+://)?(?:[^/@]*@)?", r"(?::\d+/|[:/])"
    found = re.fullmatch(rf"{start}({hosts}){port}(.+/.+?)(?:\.git)?/?", remote)
    return f"https://{found[1]}/{found[2]}" if found else ""


def git(folder: Path, *arguments: str) -> str:
    """What git prints in a folder; nothing where there is no git or no repository."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def add_buttons(app, config) -> None:
    """Tell the theme the address, before it looks for one."""
    project = Path(app.srcdir).parent
    branch = git(project, "symbolic-ref", "--short", "HEAD")  # none where a tag is checked out
    if url := address(git(project, "remote", "get-url", "origin")):
        config.html_theme_options |= {
            "repository_url": url,
            "repository_branch": branch,
            "path_to_docs": Path(app.srcdir).name,
            "use_repository_button": True,
            "use_issues_button": True,
            "use_edit_page_button": bool(branch),
        }


def edit_the_template(app, pagename, templatename, context, doctree) -> None:
    """Of an executed page, which is in no repository, the template is edited."""
    record = Path(app.srcdir).parent / "results/provenance" / f"{pagename}.json"
    of_page = context.get("get_edit_provider_and_url")
    if of_page and record.exists():
        notebook = json.loads(record.read_text())["notebook"]

        def of_template():
            provider, url = of_page()
            return provider, url.replace(f"{Path(app.srcdir).name}/{pagename}.ipynb", notebook)

        context["get_edit_provider_and_url"] = of_template


def setup(app) -> dict:
    """Called by Sphinx."""
    app.connect("config-inited", add_buttons, priority=400)
    # Only now, so that it comes after the theme has made its function, and before the buttons.
    app.connect("builder-inited", lambda app: app.connect("html-page-context", edit_the_template))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
