"""A benchmark refreshes its own section of a page and leaves the rest."""

from pathlib import Path

from bench.pages import command, table, write_section


def test_a_section_is_replaced_and_what_stands_around_it_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nBy hand.\n")
    write_section(page, "bench.one", "python -m bench.one", ["old figures"])
    write_section(page, "bench.two", "python -m bench.two", ["others"])
    page.write_text(page.read_text() + "\nBelow, by hand.\n")
    write_section(page, "bench.one", "python -m bench.one --fast", ["new figures"])
    text = page.read_text()
    assert "old figures" not in text
    assert text.startswith("# Title\n\nBy hand.\n\n<!-- bench.one")
    assert text.index("new figures") < text.index("others") < text.index("Below, by hand.")
    assert text.count("<!-- end of bench.one -->") == 1


def test_the_command_names_no_path_of_the_machine():
    argv = ["/data/mine", "--only", "a,b", "--json", "/data/out.json", "--markdown", "/docs/page.md", "--series", "4"]
    assert command("bench.x", argv, Path("/data/mine")) == "python -m bench.x DIRECTORY --only a,b --series 4"


def test_a_bar_in_a_cell_does_not_break_its_line():
    assert table(["a", "b"], [["x|y", "1"]], texts=1) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |"
