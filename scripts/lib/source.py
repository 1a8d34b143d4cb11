"""Reads C sources as the checks need them: without comments, without strings, line by line."""

import re

LEXEME = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)"|(\S+))', re.MULTILINE)


def blanked(text):
    """The same text with everything but its newlines turned into spaces."""
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One file. `code` has neither comments nor strings, and the lines of the original."""

    def __init__(self, path, text):
        self.path = path  # relative to the root of the tree, with slashes
        self.text = text
        self.lines = text.count("\n")
        self.comments = LEXEME.sub(
            lambda m: m[0] if m[0].startswith("/") else blanked(m[0]), text)
        self.directives = LEXEME.sub(
            lambda m: blanked(m[0]) if m[0].startswith("/") else m[0], text)
        self.code = LEXEME.sub(lambda m: blanked(m[0]), text)

    @property
    def room(self):
        return self.path.split("/", 1)[0]

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def includes(self):
        """Yields (line, name, form) with form one of "<", '"' and "macro"."""
        for m in INCLUDE.finditer(self.directives):
            form = "<" if m[1] else '"' if m[2] else "macro"
            yield self.line_of(m.start(0)), m[1] or m[2] or m[3], form

    def functions(self):
        """Yields (line, number of lines) of each function body; the formatter puts its braces in
        the first column, and nobody else's."""
        start = None
        for number, line in enumerate(self.code.split("\n"), 1):
            if line.rstrip() == "{":
                start = number
            elif start is not None and line.startswith("}"):
                yield start, number - start + 1
                start = None

    def static_functions(self):
        """Names of the functions that are the file's own, which may be called like a system call."""
        names = set()
        for m in re.finditer(r"^static\b[^;{=]*", self.code, re.MULTILINE):
            names.update(re.findall(r"\b(\w+)\s*\(", m[0]))
        return names
