"""Run the command line as ``python -m hybridrl``."""

from hybridrl.cli import main

if __name__ == "__main__":
    main()
