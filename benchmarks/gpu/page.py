"""The table, as it is printed and as Markdown."""

from __future__ import annotations

from pathlib import Path

from gpu.run import Line

_TITLE = "What was open without a GPU"
_TRIAL = "A trial on a CPU at tiny sizes: nothing was measured, and no verdict is one."
_LONGEST = 200  # lines of a script's output
_WIDTHS = (12, 58, 14, 6)


class Page:
    """Prints lines as they come, and keeps a Markdown file of them.

    Args:
        path: of the file, which is replaced.
        trial: whether all ran on a CPU, where no verdict is given but that of a part's end.
    """

    def __init__(self, path: Path, trial: bool) -> None:
        self.path = path
        self.trial = trial
        self.failed = False
        self._rows: list[tuple[str, ...]] = []
        self._appendices: list[tuple[str, str]] = []
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, part: str, line: Line) -> None:
        """Take a line."""
        ends = line.target.startswith("ends")
        verdict = "figure" if line.passed is None else "pass" if line.passed else "fail"
        if self.trial and not ends and line.passed is not None:
            verdict = "trial"
        self.failed |= verdict == "fail"
        row = (part, line.what, line.target, verdict, line.figure)
        self._rows.append(row)
        if line.appendix:
            self._appendices.append((f"{part}: {line.what}", line.appendix))
        print(*map(str.ljust, row, _WIDTHS), row[-1], flush=True)
        self._write()

    def close(self) -> None:
        """Tell how many lines passed, and where the page is."""
        print(f"\n{self._counts()}; {self.path} has it as Markdown")

    def _counts(self) -> str:
        verdicts = [row[3] for row in self._rows]
        names = dict.fromkeys(verdicts)
        return ", ".join(f"{verdicts.count(name)} {name}" for name in names)

    def _write(self) -> None:
        head = ("part", "what", "target", "verdict", "figure")
        table = [_row(head), "|---" * len(head) + "|", *map(_row, self._rows)]
        text = [f"# {_TITLE}", "", *[_TRIAL, ""] * self.trial, f"{self._counts()}.", "", *table]
        for title, out in self._appendices:
            told = out.rstrip().replace("```", "` ` `").splitlines()[-_LONGEST:]
            text += ["", f"## {title}", "", "```text", *told, "```"]
        self.path.write_text("\n".join(text) + "\n")


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
