"""`python -m nostro` is `nostro`."""

from nostro.app import main

main()
