"""`python -m tests.simulation door|whole --seed N --count M`: seeds from N on, M of them."""

import sys

from tests.simulation.running import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
