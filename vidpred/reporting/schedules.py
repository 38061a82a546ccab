"""What the schedules of a run will do, in the terminal."""

from collections.abc import Sequence

from rich.console import Console

from vidpred.viz.courses import Course, draw_blocks


def print_expectations(courses: Sequence[Course], console: Console | None = None) -> None:
    """Print the sentence of every schedule."""
    console = console or Console(highlight=False, soft_wrap=True)
    for course in courses:
        console.print(course.sentence)


def print_preview(courses: Sequence[Course], *, epochs: int, console: Console | None = None) -> None:
    """Print a chart of every schedule over the run, with the sentence below it."""
    console = console or Console(highlight=False, soft_wrap=True)
    for course in courses:
        console.print(f"[bold]{course.name}[/bold]")
        if course.values is not None:
            top = float(course.values.max())
            lines = draw_blocks(course.values)
            labels = [f"{top:.4g}", *[""] * (len(lines) - 2), "0"]
            for label, line in zip(labels, lines, strict=True):
                console.print(f"{label:>9} │{line}│")
            console.print(f"{'':>9}  0{'epoch ' + str(epochs):>{len(lines[0]) - 1}}")
        console.print(f"{'':>9}  {course.sentence}\n")
