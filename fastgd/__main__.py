"""``python -m fastgd`` is the command line."""

from fastgd.cli import main

if __name__ == "__main__":
    main(prog_name="fastgd")
