"""``python -m edgebert`` is the command ``edgebert``."""

from edgebert.cli import main

if __name__ == "__main__":
    main()
